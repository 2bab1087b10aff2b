/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/archive/compaction.h"
#include "src/archive/ltx.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/storage/directory.h"
#include "src/storage/file_name.h"

#define NEW_FILE      "new"
#define REBUILT       "rebuilt"
#define REBUILT_CHARS 16
#define NAME_BYTES    64
#define INSTEAD       "use another --state"
#define MERGE_FILES   5000u /* at once */

struct outbox {
	int fd;
	char *path;     /* STATE/archive, */
	char *new_path; /* and the file that is written there */
	char writer[OUTBOX_WRITER_BYTES];

	pthread_mutex_t lock; /* everything below */
	struct storage *storage;
	struct archive_list waiting; /* in the order of the archive */
	uint64_t done_txid;
	int64_t time_ns;
	uint32_t page_size;
	bool is_rebuilt;
	uint64_t rebuilt_lsn;
};

/* ---- names ---- */

struct name {
	char text[NAME_BYTES];
};

static struct name file_name(const struct archive_file *file)
{
	struct name name;

	(void)snprintf(name.text, sizeof name.text, "ltx/%s", archive_name(file).text);
	return name;
}

static struct name done_name(uint64_t txid, uint32_t page_size)
{
	struct name name;

	(void)snprintf(name.text, sizeof name.text, "%016" PRIx64 "-%u.done", txid,
		       (unsigned)page_size);
	return name;
}

static bool read_done_name(const char *text, uint64_t *txid, uint32_t *page_size)
{
	struct name right;
	unsigned size;

	if (strlen(text) >= NAME_BYTES ||
	    sscanf(text, "%16" SCNx64 "-%6u.done", txid, &size) != 2) {
		return false;
	}
	*page_size = size;
	right = done_name(*txid, size);
	return strcmp(right.text, text) == 0;
}

static enum status failed(const struct outbox *outbox, const char *name,
			  const char *what, struct error *err)
{
	int why = errno;

	return error_set_errno(err, why, "%s/%s cannot be %s", quote(outbox->path).text,
			       name, what);
}

/* ---- order ---- */

/* As the archive gets them: a whole database of a new page size comes with its end. */
static int by_end(const void *a, const void *b)
{
	const struct archive_file *left = a;
	const struct archive_file *right = b;

	if (left->max_txid != right->max_txid) {
		return left->max_txid < right->max_txid ? -1 : 1;
	}
	if (left->level != right->level) {
		return left->level < right->level ? 1 : -1;
	}
	return left->min_txid < right->min_txid   ? 1
	       : left->min_txid > right->min_txid ? -1
						  : 0;
}

/* ---- what is there ---- */

/* NULL: errno. */
static DIR *list_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder && fd >= 0) {
		(void)close(fd);
	}
	return folder;
}

/* Of several marks the newest counts. */
static enum status read_marks(int fd, struct outbox_content *content)
{
	DIR *folder = list_folder(fd, ".");
	const struct dirent *entry;

	if (!folder) {
		return ST_IO;
	}
	while ((entry = readdir(folder)) != NULL) {
		uint64_t txid;
		uint32_t page_size;
		struct stat st;

		if (read_done_name(entry->d_name, &txid, &page_size) &&
		    txid >= content->done_txid &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			content->done_txid = txid;
			content->page_size = page_size;
			content->time_ns = clock_ns_of(st.st_mtim);
		}
	}
	(void)closedir(folder);
	return ST_OK;
}

/* All of them but `kept`; NULL: all. False: errno. */
static bool remove_marks(int fd, const char *kept)
{
	DIR *folder = list_folder(fd, ".");
	const struct dirent *entry;
	bool are_gone = folder != NULL;

	while (folder && (entry = readdir(folder)) != NULL) {
		uint64_t txid;
		uint32_t page_size;

		if (read_done_name(entry->d_name, &txid, &page_size) &&
		    (!kept || strcmp(entry->d_name, kept) != 0)) {
			are_gone = unlinkat(fd, entry->d_name, 0) == 0 && are_gone;
		}
	}
	if (folder) {
		(void)closedir(folder);
	}
	return are_gone;
}

static void look_at_files(const struct archive_list *waiting,
			  struct outbox_content *content)
{
	content->count = waiting->count;
	for (size_t i = 0; i < waiting->count; i++) {
		content->bytes += waiting->files[i].size;
	}
	if (waiting->count > 0) {
		content->min_txid = waiting->files[0].min_txid;
		content->max_txid = waiting->files[waiting->count - 1].max_txid;
		content->time_ns = waiting->files[waiting->count - 1].time_ns;
	}
}

/* From the head of a file: the size of a page, and of the database after it, bytes. */
static enum status read_sizes(struct outbox *outbox, const struct archive_file *file,
			      uint32_t *page_size, uint64_t *bytes, struct error *err)
{
	uint8_t head[LTX_HEADER_BYTES];
	int fd;
	enum status status = outbox_read(outbox, file, &fd, err);

	if (status != ST_OK) {
		return status;
	}
	if (file_read_exactly(fd, head, sizeof head, 0)) {
		*page_size = get_u32be(head + 8);
		*bytes = (uint64_t)get_u32be(head + 12) * *page_size;
	} else {
		status = failed(outbox, file_name(file).text, "read", err);
	}
	(void)close(fd);
	return status;
}

/* A run that was killed while it merged left files that another one has. */
static enum status drop_merged(struct outbox *outbox, struct error *err)
{
	struct archive_list *waiting = &outbox->waiting;
	uint64_t first = UINT64_MAX; /* of those behind that are no whole database */
	enum status status = ST_OK;
	size_t kept = waiting->count;

	for (size_t i = waiting->count; status == ST_OK && i > 0; i--) {
		const struct archive_file file = waiting->files[i - 1];

		if (file.min_txid >= first) {
			status = storage_remove(outbox->storage, &file, err);
			continue;
		}
		first = file.min_txid > 1 ? file.min_txid : first;
		waiting->files[--kept] = file;
	}
	if (status == ST_OK) {
		waiting->count -= kept;
		memmove(waiting->files, waiting->files + kept,
			waiting->count * sizeof *waiting->files);
	}
	return status;
}

/* One that was being written when a run was killed says nothing: nothing was made anew
 * then. */
static enum status read_rebuilt(struct outbox *outbox, struct error *err)
{
	char text[REBUILT_CHARS + 1] = "";
	int fd = openat(outbox->fd, REBUILT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum status status = ST_OK;

	if (fd < 0) {
		return errno == ENOENT ? ST_OK : failed(outbox, REBUILT, "read", err);
	}
	if (file_read_exactly(fd, text, REBUILT_CHARS, 0)) {
		outbox->is_rebuilt =
		    sscanf(text, "%16" SCNx64, &outbox->rebuilt_lsn) == 1;
	} else if (errno != ENODATA) {
		status = failed(outbox, REBUILT, "read", err);
	}
	(void)close(fd);
	return status;
}

static enum status read_content(struct outbox *outbox, struct error *err)
{
	struct outbox_content marks = {0};
	const struct archive_file *last;
	struct name newest;
	uint64_t ignored;
	enum status status = storage_list(outbox->storage, &outbox->waiting, err);

	if (status != ST_OK) {
		return status;
	}
	if (read_marks(outbox->fd, &marks) != ST_OK) {
		return failed(outbox, ".", "listed", err);
	}
	newest = done_name(marks.done_txid, marks.page_size);
	(void)remove_marks(outbox->fd, newest.text);
	outbox->done_txid = marks.done_txid;
	outbox->time_ns = marks.time_ns;
	outbox->page_size = marks.page_size;
	status = read_rebuilt(outbox, err);
	if (status != ST_OK || outbox->waiting.count == 0) {
		return status;
	}
	qsort(outbox->waiting.files, outbox->waiting.count,
	      sizeof *outbox->waiting.files, by_end);
	status = drop_merged(outbox, err);
	if (status != ST_OK) {
		return status;
	}
	last = &outbox->waiting.files[outbox->waiting.count - 1];
	outbox->time_ns = last->time_ns;
	return read_sizes(outbox, last, &outbox->page_size, &ignored, err);
}

/* ---- who writes ---- */

static enum status draw_writer(struct outbox *outbox, int fd, struct error *err)
{
	uint8_t bytes[(OUTBOX_WRITER_BYTES - 1) / 2];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
		return failed(outbox, OUTBOX_WRITER_FILE, "drawn", err);
	}
	for (size_t i = 0; i < sizeof bytes; i++) {
		(void)snprintf(outbox->writer + 2 * i, 3, "%02x", bytes[i]);
	}
	if (!file_write_at(fd, outbox->writer, OUTBOX_WRITER_BYTES - 1, 0) ||
	    !file_sync(fd) || !file_sync_all(outbox->fd)) {
		return failed(outbox, OUTBOX_WRITER_FILE, "written", err);
	}
	return ST_OK;
}

/* One that was being drawn when a run was killed is drawn again: nobody knows it. One
 * that cannot be read is known: the archive has it. */
static enum status take_writer(struct outbox *outbox, struct error *err)
{
	struct owned_place place = {.dir_fd = outbox->fd,
				    .name = OUTBOX_WRITER_FILE,
				    .path = outbox->path,
				    .instead = INSTEAD,
				    .closed = OWNED_PRIVATE};
	int fd;
	enum status status = owned_file_open(&place, O_RDWR | O_CREAT, &fd, NULL, err);

	if (status != ST_OK) {
		return status;
	}
	if (!file_read_exactly(fd, outbox->writer, OUTBOX_WRITER_BYTES - 1, 0)) {
		status = errno == ENODATA
			     ? draw_writer(outbox, fd, err)
			     : failed(outbox, OUTBOX_WRITER_FILE, "read", err);
	} else if (strspn(outbox->writer, "0123456789abcdef") !=
		   OUTBOX_WRITER_BYTES - 1) {
		status = draw_writer(outbox, fd, err);
	}
	(void)close(fd);
	return status;
}

/* ---- open and close ---- */

static enum status open_folder(struct outbox *outbox, int state_fd, struct error *err)
{
	struct owned_place place = {.dir_fd = state_fd,
				    .name = OUTBOX_FOLDER,
				    .path = outbox->path,
				    .instead = INSTEAD,
				    .closed = OWNED_PRIVATE};
	enum status status = owned_folder_open(&place, true, &outbox->fd, NULL, err);

	if (status == ST_OK) {
		status = owned_folder_close(&place, outbox->fd, true, err);
	}
	if (status == ST_OK && unlinkat(outbox->fd, NEW_FILE, 0) != 0 &&
	    errno != ENOENT) {
		status = failed(outbox, NEW_FILE, "removed", err);
	}
	return status;
}

enum status outbox_open(int state_fd, const char *state_path, struct outbox **out,
			struct error *err)
{
	struct outbox *outbox = calloc(1, sizeof *outbox);
	enum status status;

	if (!outbox) {
		return error_no_memory(err, "the archive");
	}
	outbox->fd = -1;
	(void)pthread_mutex_init(&outbox->lock, NULL);
	if (asprintf(&outbox->path, "%s/" OUTBOX_FOLDER, state_path) < 0) {
		outbox->path = NULL;
	}
	if (asprintf(&outbox->new_path, "%s/" OUTBOX_FOLDER "/" NEW_FILE, state_path) <
	    0) {
		outbox->new_path = NULL;
	}
	status = outbox->path && outbox->new_path ? open_folder(outbox, state_fd, err)
						  : error_no_memory(err, "the archive");
	if (status == ST_OK) {
		status = take_writer(outbox, err);
	}
	if (status == ST_OK) {
		status =
		    directory_open_to_write(outbox->path, true, &outbox->storage, err);
	}
	if (status == ST_OK) {
		status = read_content(outbox, err);
	}
	if (status != ST_OK) {
		outbox_close(outbox);
		return status;
	}
	*out = outbox;
	return ST_OK;
}

void outbox_close(struct outbox *outbox)
{
	if (!outbox) {
		return;
	}
	if (outbox->storage) {
		storage_close(outbox->storage);
	}
	archive_list_clear(&outbox->waiting);
	if (outbox->fd >= 0) {
		(void)close(outbox->fd);
	}
	(void)pthread_mutex_destroy(&outbox->lock);
	free(outbox->path);
	free(outbox->new_path);
	free(outbox);
}

const char *outbox_writer(const struct outbox *outbox)
{
	return outbox->writer;
}

void outbox_look(struct outbox *outbox, struct outbox_content *content)
{
	(void)pthread_mutex_lock(&outbox->lock);
	*content = (struct outbox_content){.done_txid = outbox->done_txid,
					   .time_ns = outbox->time_ns,
					   .page_size = outbox->page_size,
					   .is_rebuilt = outbox->is_rebuilt,
					   .rebuilt_lsn = outbox->rebuilt_lsn};
	look_at_files(&outbox->waiting, content);
	(void)pthread_mutex_unlock(&outbox->lock);
}

/* Files of a level that wait. */
static void peek_level(int fd, unsigned level, struct outbox_content *content)
{
	const struct dirent *entry;
	char name[16];
	DIR *folder;

	(void)snprintf(name, sizeof name, "ltx/%u", level);
	folder = list_folder(fd, name);
	if (!folder) {
		return;
	}
	while ((entry = readdir(folder)) != NULL) {
		struct archive_file file = {.level = level};
		struct stat st;

		if (file_name_read(entry->d_name, &file) &&
		    fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
			0) {
			content->count++;
			content->bytes += (uint64_t)st.st_size;
		}
	}
	(void)closedir(folder);
}

bool outbox_peek(int state_fd, struct outbox_content *content, struct last_error *away)
{
	int fd = openat(state_fd, OUTBOX_FOLDER,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*content = (struct outbox_content){0};
	*away = (struct last_error){0};
	if (fd < 0) {
		return false;
	}
	(void)read_marks(fd, content);
	for (unsigned level = 0; level < ARCHIVE_LEVELS; level++) {
		peek_level(fd, level, content);
	}
	if (!last_error_read(fd, LAST_ERROR, away)) {
		*away = (struct last_error){0};
	}
	(void)close(fd);
	return true;
}

void outbox_away(struct outbox *outbox, const char *why)
{
	struct last_error known;

	if (!last_error_read(outbox->fd, LAST_ERROR, &known)) {
		last_error_write(outbox->fd, LAST_ERROR, why);
	}
}

void outbox_back(struct outbox *outbox)
{
	last_error_remove(outbox->fd, LAST_ERROR);
}

/* ---- writing ---- */

enum status outbox_create(struct outbox *outbox, int *fd, const char **path,
			  struct error *err)
{
	*path = outbox->new_path;
	/* Never opened as it is: it may be a second name of a file of the archive. */
	if (unlinkat(outbox->fd, NEW_FILE, 0) != 0 && errno != ENOENT) {
		return failed(outbox, NEW_FILE, "removed", err);
	}
	*fd = openat(outbox->fd, NEW_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *fd < 0 ? failed(outbox, NEW_FILE, "made", err) : ST_OK;
}

enum status outbox_keep(struct outbox *outbox, const struct archive_file *file, int fd,
			uint32_t page_size, struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&outbox->lock);
	status = storage_put(outbox->storage, file, fd, err);
	if (status == ST_OK) {
		FAULT_POINT("archive-kept");
		(void)unlinkat(outbox->fd, NEW_FILE, 0);
		status = archive_list_add(&outbox->waiting, file, err);
		outbox->time_ns = file->time_ns;
		outbox->page_size = page_size;
	}
	if (status == ST_OK && outbox->is_rebuilt) {
		outbox->is_rebuilt = false;
		(void)unlinkat(outbox->fd, REBUILT, 0); /* if not, all pages again */
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return status;
}

enum status outbox_note_rebuilt(int state_fd, const char *state_path, uint64_t lsn,
				struct error *err)
{
	char text[REBUILT_CHARS + 1];
	int folder =
	    openat(state_fd, OUTBOX_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;
	bool is_noted;
	int reason;

	if (folder < 0 && errno == ENOENT) {
		return ST_OK; /* nothing was archived */
	}
	fd = folder < 0
		 ? -1
		 : openat(folder, REBUILT,
			  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	(void)snprintf(text, sizeof text, "%0*" PRIx64, REBUILT_CHARS, lsn);
	is_noted = fd >= 0 && file_write_at(fd, text, REBUILT_CHARS, 0) &&
		   file_sync_all(fd) && file_sync_all(folder);
	reason = errno;
	if (fd >= 0) {
		(void)close(fd);
	}
	if (folder >= 0) {
		(void)close(folder);
	}
	return is_noted ? ST_OK
			: error_set_errno(err, reason,
					  "%s/" OUTBOX_FOLDER "/" REBUILT
					  " cannot be written",
					  quote(state_path).text);
}

/* ---- what the archive gets ---- */

bool outbox_first(struct outbox *outbox, struct archive_file *file)
{
	bool is_there;

	(void)pthread_mutex_lock(&outbox->lock);
	is_there = outbox->waiting.count > 0;
	if (is_there) {
		*file = outbox->waiting.files[0];
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return is_there;
}

enum status outbox_read(struct outbox *outbox, const struct archive_file *file, int *fd,
			struct error *err)
{
	struct name name = file_name(file);

	*fd = openat(outbox->fd, name.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *fd < 0 ? failed(outbox, name.text, "read", err) : ST_OK;
}

/* With the lock. */
static enum status put_mark(struct outbox *outbox, const struct archive_file *file,
			    uint32_t page_size, struct error *err)
{
	struct name name = done_name(file->max_txid, page_size);
	struct timespec times[2] = {clock_timespec(file->time_ns),
				    clock_timespec(file->time_ns)};
	int fd = openat(outbox->fd, name.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || futimens(fd, times) != 0 || !file_sync_all(outbox->fd)) {
		enum status status = failed(outbox, name.text, "made", err);

		if (fd >= 0) {
			(void)close(fd);
		}
		return status;
	}
	(void)close(fd);
	outbox->done_txid = file->max_txid;
	(void)remove_marks(outbox->fd, name.text);
	return ST_OK;
}

static void forget_first(struct outbox *outbox)
{
	struct archive_list *waiting = &outbox->waiting;

	waiting->count--;
	memmove(waiting->files, waiting->files + 1,
		waiting->count * sizeof *waiting->files);
}

enum status outbox_done(struct outbox *outbox, const struct archive_file *file,
			struct error *err)
{
	enum status status;

	(void)pthread_mutex_lock(&outbox->lock);
	status = put_mark(outbox, file, outbox->page_size, err);
	if (status == ST_OK) {
		FAULT_POINT("archive-marked");
		status = storage_remove(outbox->storage, file, err);
	}
	if (status == ST_OK) {
		forget_first(outbox);
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return status;
}

/* ---- its bound ---- */

/* Files that become one: `count` from `first` on. */
struct bundle {
	size_t first;
	size_t count;
};

/* The first ones of those that wait, if they have more than `database` bytes and a
 * quarter, but for the newest, which have an eighth at most. A whole database begins
 * what can be merged. Count 0: none. */
static struct bundle choose(const struct archive_list *waiting, uint64_t database)
{
	struct bundle found = {0};
	size_t end = waiting->count;
	uint64_t total = 0;
	uint64_t newest = 0;

	for (size_t i = 0; i < waiting->count; i++) {
		total += waiting->files[i].size;
	}
	if (total <= database + database / 4) {
		return found;
	}
	while (end > 0 && newest + waiting->files[end - 1].size <= database / 8) {
		newest += waiting->files[--end].size;
	}
	for (size_t i = 0; i < end && found.count < MERGE_FILES; i++) {
		if (waiting->files[i].min_txid == 1 && found.count > 1) {
			break;
		}
		if (found.count == 0 || waiting->files[i].min_txid == 1) {
			found = (struct bundle){.first = i};
		}
		found.count++;
	}
	return found.count > 1 ? found : (struct bundle){0};
}

/* With the lock: what is to be merged now; none of it is being read. */
static enum status copy_bundle(struct outbox *outbox, uint64_t least,
			       struct bundle *bundle, struct archive_list *files,
			       struct error *err)
{
	struct archive_list *waiting = &outbox->waiting;
	uint64_t database;
	uint32_t ignored;
	enum status status;

	*bundle = (struct bundle){0};
	if (waiting->count < 2) {
		return ST_OK;
	}
	status = read_sizes(outbox, &waiting->files[waiting->count - 1], &ignored,
			    &database, err);
	if (status == ST_OK) {
		*bundle = choose(waiting, database > least ? database : least);
	}
	for (size_t i = 0; status == ST_OK && i < bundle->count; i++) {
		status =
		    archive_list_add(files, &waiting->files[bundle->first + i], err);
	}
	return status;
}

/* `merged` is there: the others leave the list, and then the disk. */
static enum status replace(struct outbox *outbox, struct bundle bundle,
			   const struct archive_file *merged,
			   const struct archive_list *files, struct storage *storage,
			   struct error *err)
{
	struct archive_list *waiting = &outbox->waiting;
	size_t behind = bundle.first + bundle.count;
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&outbox->lock);
	waiting->files[bundle.first] = *merged;
	memmove(waiting->files + bundle.first + 1, waiting->files + behind,
		(waiting->count - behind) * sizeof *waiting->files);
	waiting->count -= bundle.count - 1;
	(void)pthread_mutex_unlock(&outbox->lock);
	/* Back from the newest: what a kill leaves is covered by the new one. */
	for (size_t i = files->count; status == ST_OK && i > 0; i--) {
		FAULT_POINT("outbox-merged");
		status = storage_remove(storage, &files->files[i - 1], err);
	}
	return status;
}

static enum status merge(struct outbox *outbox, struct bundle bundle,
			 struct compaction *c, const struct archive_list *files,
			 struct error *err)
{
	enum status status;

	c->inputs = calloc(files->count, sizeof(const struct archive_file *));
	if (!c->inputs) {
		return error_no_memory(err, "the archive");
	}
	for (size_t i = 0; i < files->count; i++) {
		c->inputs[i] = &files->files[i];
	}
	c->input_count = files->count;
	status = directory_open_to_write(outbox->path, false, &c->storage, err);
	if (status == ST_OK) {
		status = compaction_run(c, err);
		if (status == ST_OK) {
			status =
			    replace(outbox, bundle, &c->file, files, c->storage, err);
		}
		storage_close(c->storage);
	}
	free(c->inputs);
	return status;
}

enum status outbox_bound(struct outbox *outbox, uint64_t least,
			 bool (*stops)(void *context), void *context, struct error *err)
{
	struct bundle bundle;
	enum status status;

	do {
		struct archive_list files = {0};
		struct compaction c = {.list = &files,
				       .is_excerpt = true,
				       .stops = stops,
				       .context = context};

		(void)pthread_mutex_lock(&outbox->lock);
		status = copy_bundle(outbox, least, &bundle, &files, err);
		(void)pthread_mutex_unlock(&outbox->lock);
		if (status == ST_OK && bundle.count > 0) {
			c.level =
			    files.files[0].min_txid == 1 ? ARCHIVE_SNAPSHOT_LEVEL : 0;
			status = merge(outbox, bundle, &c, &files, err);
		}
		archive_list_clear(&files);
	} while (status == ST_OK && bundle.count > 0);
	return status;
}

enum status outbox_drop(struct outbox *outbox, struct error *err)
{
	enum status status = ST_OK;

	(void)pthread_mutex_lock(&outbox->lock);
	/* The newest first: what is left goes on from what the archive has. */
	while (status == ST_OK && outbox->waiting.count > 0) {
		status = storage_remove(
		    outbox->storage, &outbox->waiting.files[outbox->waiting.count - 1],
		    err);
		outbox->waiting.count--;
	}
	if (status == ST_OK) {
		if (!remove_marks(outbox->fd, NULL) || !file_sync_all(outbox->fd)) {
			status = failed(outbox, "*.done", "removed", err);
		}
		outbox->done_txid = 0;
	}
	(void)pthread_mutex_unlock(&outbox->lock);
	return status;
}
