/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_retention.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "sinks/output_path.h"
#include "src/audit/check.h"
#include "src/audit/files.h"
#include "src/audit/line.h"
#include "src/audit/note.h"
#include "src/audit/output.h"
#include "src/audit/reader.h"
#include "src/base/clock.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"
#include "src/base/thread.h"
#include "src/base/time_text.h"

#define LOOK_NS    NS_PER_H
#define NICENESS   5
#define BLOCK      ((size_t)131072)
#define NOTE_BYTES 4096 /* of a checkpoint that is kept elsewhere, at most */
#define TEMP       AUDIT_ZST ".tmp"

struct audit_retention {
	struct audit_retention_settings settings;
	int64_t next_ns; /* monotonic: when files are looked at again */
	bool is_unsure;  /* that no head is kept elsewhere was said */
	bool is_held;    /* that none of them covers what is due was said */
	bool has_thread;
	bool has_failed; /* that a file cannot be compressed was said; the thread's */
	atomic_bool is_stopped;
	pthread_t thread;
	pthread_mutex_t mutex; /* of the names of closed files, and of `is_asked` */
	pthread_cond_t asked;
	bool is_asked;
	uint64_t closed; /* files that begin before this line are; with the mutex */
};

/* When a file began, by its first line; 0: it is none of a log that begins there, and
 * somebody else's. */
static int64_t begin_time(const struct audit_files *files, size_t at)
{
	struct audit_reader reader;
	struct audit_line what;
	struct span line;
	struct error ignored;
	bool is_whole;
	char text[40] = "";
	int64_t time = 0;

	audit_reader_open_files(&reader, files, at);
	if (audit_reader_next(&reader, &line, &is_whole, &ignored) == ST_OK) {
		audit_line_read(line.bytes, line.len, &what);
		if (what.kind == AUDIT_LINE_FILE &&
		    what.number == files->list[at].first &&
		    what.time.len < sizeof text) {
			memcpy(text, what.time.bytes, what.time.len);
		}
	}
	audit_reader_close(&reader);
	return time_text_read(text, &time) ? time : 0;
}

/* ---- compressing ---- */

struct packing {
	struct audit_retention *retention;
	const char *path; /* PATH.N */
	int in;
	struct audit_output out;
	char *plain, *packed; /* blocks */
	ZSTD_DCtx *unpacker;
};

static bool is_stopped(const struct packing *p)
{
	return atomic_load(&p->retention->is_stopped);
}

static bool pack(struct packing *p)
{
	off_t from = 0;
	ssize_t n = 1;
	struct error err = {0};

	while (n > 0 && !is_stopped(p)) {
		n = file_read_at(p->in, p->plain, BLOCK, from);
		from += n > 0 ? n : 0;
		if (n > 0 &&
		    audit_output_put(&p->out, p->plain, (size_t)n, &err) != ST_OK) {
			errno = err.sys_errno;
			return false;
		}
	}
	if (n == 0 && !is_stopped(p)) {
		if (audit_output_end(&p->out, &err) == ST_OK) {
			return true;
		}
		errno = err.sys_errno;
	}
	return false;
}

/* Does what was written give back what was read? */
static bool is_same(struct packing *p)
{
	char *again = malloc(BLOCK);
	off_t from = 0, at = 0;
	ssize_t n = again ? 1 : -1;
	size_t left = 1;

	while (n > 0 && !is_stopped(p)) {
		ZSTD_inBuffer in = {p->packed, 0, 0};

		n = file_read_at(p->out.fd, p->packed, BLOCK, from);
		in.size = n > 0 ? (size_t)n : 0;
		from += n > 0 ? n : 0;
		while (n > 0 && in.pos < in.size) {
			ZSTD_outBuffer out = {again, BLOCK, 0};

			left = ZSTD_decompressStream(p->unpacker, &out, &in);
			if (ZSTD_isError(left) ||
			    !file_read_exactly(p->in, p->plain, out.pos, at) ||
			    memcmp(p->plain, again, out.pos) != 0) {
				n = -1;
			}
			at += (off_t)out.pos;
		}
	}
	if (n == 0) { /* and nothing more */
		n = file_read_at(p->in, p->plain, 1, at);
	}
	free(again);
	errno = n == 0 && left == 0 ? 0 : EIO;
	return errno == 0;
}

/* The compressed file takes the place of the plain one, unless that went meanwhile. */
static bool replace(struct packing *p, const char *temp, const char *packed)
{
	bool is_done = true;

	(void)pthread_mutex_lock(&p->retention->mutex);
	if (access(p->path, F_OK) != 0) {
		(void)unlinkat(AT_FDCWD, temp, 0);
	} else {
		is_done = renameat(AT_FDCWD, temp, AT_FDCWD, packed) == 0;
		FAULT_POINT("audit-packed");
		if (is_done) {
			is_done = output_path_sync_folder(p->path) &&
				  unlinkat(AT_FDCWD, p->path, 0) == 0;
		}
		FAULT_POINT("audit-unpacked-gone");
	}
	(void)pthread_mutex_unlock(&p->retention->mutex);
	return is_done;
}

/* One that may only be appended to cannot go. */
static bool may_go(int fd)
{
	struct stat st;
	int flags = 0;

	return fstat(fd, &st) == 0 && st.st_nlink == 1 &&
	       (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 ||
		(flags & (FS_APPEND_FL | FS_IMMUTABLE_FL)) == 0);
}

static bool open_packing(struct packing *p, const char *temp)
{
	struct error err = {0};

	if (audit_output_open(&p->out, temp, true, &err) != ST_OK) {
		errno = err.sys_errno;
		return false;
	}
	p->plain = malloc(BLOCK);
	p->packed = malloc(BLOCK);
	p->unpacker = ZSTD_createDCtx();
	errno = ENOMEM;
	return p->plain && p->packed && p->unpacker;
}

static void close_packing(struct packing *p)
{
	int why = errno;

	(void)ZSTD_freeDCtx(p->unpacker);
	free(p->plain);
	free(p->packed);
	audit_output_close(&p->out);
	(void)close(p->in);
	errno = why;
}

static void compress_file(struct audit_retention *r, const struct audit_file *file,
			  uint64_t first)
{
	struct packing p = {.retention = r, .path = file->path, .out = {.fd = -1}};
	char *packed = audit_files_name_with(r->settings.path, first, AUDIT_ZST);
	char *temp = audit_files_name_with(r->settings.path, first, TEMP);
	bool is_done = false;

	p.in = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (packed && temp && p.in >= 0 && !may_go(p.in)) {
		(void)close(p.in);
		is_done = true;
	} else if (packed && temp && p.in >= 0) {
		is_done = open_packing(&p, temp) && pack(&p) && is_same(&p) &&
			  replace(&p, temp, packed);
		close_packing(&p);
	}
	if (!is_done && temp) {
		int why = errno;

		(void)unlinkat(AT_FDCWD, temp, 0);
		errno = why;
	}
	if (!is_done && !r->has_failed && !atomic_load(&r->is_stopped)) {
		log_warn("%s cannot be compressed: %s; it stays as it is, and is tried "
			 "again",
			 quote(file->path).text, strerror(errno));
		r->has_failed = true;
	}
	free(packed);
	free(temp);
}

static void compress_all(struct audit_retention *r, uint64_t closed)
{
	struct audit_files files;
	struct error ignored;

	if (audit_files_list(r->settings.path, &files, &ignored) != ST_OK) {
		return;
	}
	for (size_t i = 0; i + 1 < files.count && !atomic_load(&r->is_stopped); i++) {
		if (!files.list[i].is_compressed && files.list[i].first < closed &&
		    begin_time(&files, i) > 0) {
			compress_file(r, &files.list[i], files.list[i].first);
		}
	}
	audit_files_clear(&files);
}

static void *run(void *context)
{
	struct audit_retention *r = context;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
	(void)pthread_mutex_lock(&r->mutex);
	while (!atomic_load(&r->is_stopped)) {
		if (!r->is_asked) {
			(void)pthread_cond_wait(&r->asked, &r->mutex);
			continue;
		}
		uint64_t closed = r->closed;

		r->is_asked = false;
		(void)pthread_mutex_unlock(&r->mutex);
		compress_all(r, closed);
		(void)pthread_mutex_lock(&r->mutex);
	}
	(void)pthread_mutex_unlock(&r->mutex);
	return NULL;
}

/* ---- opening ---- */

enum status audit_retention_open(const struct audit_retention_settings *settings,
				 struct audit_retention **out, struct error *err)
{
	struct audit_retention *r = calloc(1, sizeof *r);
	enum status status;

	if (!r) {
		return error_no_memory(err, "the files of the audit log");
	}
	r->settings = *settings;
	atomic_init(&r->is_stopped, false);
	(void)pthread_mutex_init(&r->mutex, NULL);
	(void)pthread_cond_init(&r->asked, NULL);
	if (settings->compresses) {
		status = thread_start(&r->thread, run, r, "compressing", err);
		if (status != ST_OK) {
			audit_retention_close(r);
			return status;
		}
		r->has_thread = true;
	}
	*out = r;
	return ST_OK;
}

void audit_retention_close(struct audit_retention *retention)
{
	if (!retention) {
		return;
	}
	if (retention->has_thread) {
		(void)pthread_mutex_lock(&retention->mutex);
		atomic_store(&retention->is_stopped, true);
		(void)pthread_cond_signal(&retention->asked);
		(void)pthread_mutex_unlock(&retention->mutex);
		(void)pthread_join(retention->thread, NULL);
	}
	(void)pthread_cond_destroy(&retention->asked);
	(void)pthread_mutex_destroy(&retention->mutex);
	free(retention);
}

void audit_retention_look(struct audit_retention *retention, uint64_t first)
{
	retention->next_ns = 0;
	(void)pthread_mutex_lock(&retention->mutex);
	retention->closed = first;
	retention->is_asked = true;
	(void)pthread_cond_signal(&retention->asked);
	(void)pthread_mutex_unlock(&retention->mutex);
}

/* ---- what goes ---- */

/* With one of the log's keys? Who brings the head back need not be trusted. */
static bool is_signed_here(const struct audit_retention *r,
			   const struct audit_note *note)
{
	struct audit_reader reader;
	struct audit_key key;
	struct span line;
	struct error ignored;
	bool is_whole, is_signed = false;
	char *path;
	int fd;

	if (asprintf(&path, "%s.keys", r->settings.path) < 0) {
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0) {
		audit_reader_open(&reader, fd, path);
		while (!is_signed && audit_reader_next(&reader, &line, &is_whole,
						       &ignored) == ST_OK) {
			is_signed = audit_line_key(line, &key) &&
				    audit_note_is_signed(note, &key);
		}
		audit_reader_close(&reader);
		(void)close(fd);
	}
	free(path);
	return is_signed;
}

/* The lines that the head signs which is kept elsewhere; 0: there is none. */
static uint64_t kept_size(const struct audit_retention *r)
{
	char text[NOTE_BYTES];
	struct audit_note note;
	struct error ignored;
	int fd = open(r->settings.checkpoint, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len = fd >= 0 ? file_read_at(fd, text, sizeof text, 0) : -1;

	if (fd >= 0) {
		(void)close(fd);
	}
	return len > 0 &&
		       audit_note_parse(text, (size_t)len, &note, &ignored) == ST_OK &&
		       is_signed_here(r, &note)
		   ? note.head.size
		   : 0;
}

/* Is the head for it elsewhere? What is said is said once. */
static bool is_covered(struct audit_retention *r, uint64_t end)
{
	if (!r->settings.checkpoint) {
		if (!r->is_unsure) {
			log_warn("%s: files go though nothing says that a head of "
				 "their lines has left the machine: see "
				 "audit.retention.checkpoint",
				 quote(r->settings.path).text);
		}
		r->is_unsure = true;
		return true;
	}
	if (kept_size(r) >= end) {
		r->is_held = false;
		return true;
	}
	if (!r->is_held) {
		log_warn("%s: files whose time has come stay, as %s signs none of "
			 "their ends yet: copy a newer PATH.checkpoint away and then "
			 "to there",
			 quote(r->settings.path).text,
			 quote(r->settings.checkpoint).text);
	}
	r->is_held = true;
	return false;
}

/* Of a file that ended at this time, where all have so many bytes. */
static bool is_due(const struct audit_retention *r, int64_t end, uint64_t bytes)
{
	if (bytes > r->settings.bytes) {
		return true;
	}
	return r->settings.age_ns > 0 && clock_wall_ns() - end >= r->settings.age_ns;
}

/* It may only be appended to: it would stay, and those behind it go. */
static bool is_held_fast(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int flags = 0;
	bool is_held = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
		       (flags & (FS_APPEND_FL | FS_IMMUTABLE_FL)) != 0;

	if (fd >= 0) {
		(void)close(fd);
	}
	return is_held;
}

enum status audit_retention_due(struct audit_retention *retention,
				struct audit_gone *out, struct error *err)
{
	struct audit_files files;
	uint64_t bytes = 0;
	int64_t now = clock_mono_ns();
	int64_t began, ended; /* a file ended when the next one began */

	*out = (struct audit_gone){0};
	if ((retention->settings.age_ns == 0 &&
	     retention->settings.bytes == UINT64_MAX) ||
	    now < retention->next_ns) {
		return ST_OK;
	}
	retention->next_ns = now + LOOK_NS;
	if (audit_files_list(retention->settings.path, &files, err) != ST_OK) {
		return err->status;
	}
	for (size_t i = 0; i < files.count; i++) {
		bytes += (uint64_t)files.list[i].bytes;
	}
	began = files.count > 1 ? begin_time(&files, 0) : 0;
	for (size_t i = 0; began > 0 && i + 1 < files.count; i++, began = ended) {
		uint64_t end = files.list[i + 1].first;

		ended = begin_time(&files, i + 1);
		if (ended == 0 || is_held_fast(files.list[i].path) ||
		    !is_due(retention, ended, bytes) || !is_covered(retention, end)) {
			break;
		}
		out->files++;
		out->first = files.list[0].first;
		out->end = end;
		bytes -= (uint64_t)files.list[i].bytes;
	}
	audit_files_clear(&files);
	return ST_OK;
}

/* The file, and what compressing or redacting it may have left. */
static bool remove_file(const struct audit_retention *r, uint64_t first)
{
	static const char *const suffixes[] = {TEMP, ".tmp", AUDIT_ZST, ""};
	bool is_gone = true;

	for (size_t i = 0; is_gone && i < sizeof suffixes / sizeof *suffixes; i++) {
		char *path =
		    audit_files_name_with(r->settings.path, first, suffixes[i]);

		errno = ENOMEM;
		is_gone = path && (unlinkat(AT_FDCWD, path, 0) == 0 || errno == ENOENT);
		free(path);
	}
	return is_gone;
}

enum status audit_retention_remove(struct audit_retention *retention,
				   const struct audit_gone *gone, struct error *err)
{
	struct audit_files files;
	enum status status = audit_files_list(retention->settings.path, &files, err);
	size_t removed = 0;

	if (status != ST_OK) {
		return status;
	}
	(void)pthread_mutex_lock(&retention->mutex);
	while (removed + 1 < files.count && files.list[removed].first < gone->end) {
		FAULT_POINT("audit-before-gone");
		/* Those behind it stay with it: the log has no holes. */
		if (!remove_file(retention, files.list[removed].first)) {
			log_warn("%s cannot be removed, though its time has come: %s",
				 quote(files.list[removed].path).text, strerror(errno));
			break;
		}
		removed++;
	}
	(void)pthread_mutex_unlock(&retention->mutex);
	if (removed > 0) {
		log_info("%s: %zu files are gone, as audit.retention has it; the first "
			 "line that is there is %" PRIu64,
			 quote(retention->settings.path).text, removed,
			 files.list[removed].first);
	}
	(void)!output_path_sync_folder(retention->settings.path);
	audit_files_clear(&files);
	return ST_OK;
}
