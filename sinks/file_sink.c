/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/file_sink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "sinks/file_writer.h"
#include "sinks/line_batch.h"
#include "sinks/output_path.h"
#include "sinks/sink_settings.h"
#include "src/base/fault.h"
#include "src/base/file_io.h"
#include "src/base/flock_holder.h"
#include "src/base/log.h"
#include "src/base/owned_file.h"
#include "src/base/quote.h"

struct file_sink {
	struct sink sink; /* first */
	struct sink_settings settings;
	char *real;                /* where PATH leads */
	struct file_writer writer; /* its fd is -1: not resumed yet; written since the
				    * place */
	struct sink_place place;
	uint64_t start; /* sink_place.start of what was put last */
	struct line_batch batch;
};

static bool is_set(const _Atomic int *flag)
{
	return flag && *flag;
}

/* ---- writing ---- */

static enum status write_lines(void *context, const char *bytes, size_t len,
			       struct error *err)
{
	struct file_sink *s = context;

	return file_writer_put(&s->writer, bytes, len, err);
}

/* ---- places ---- */

/* False with errno set: it cannot be read. */
static bool proof_of(int fd, uint64_t length, uint64_t *proof)
{
	char bytes[FILE_PROOF_BYTES];
	size_t len = length < sizeof bytes ? (size_t)length : sizeof bytes;
	ssize_t n = file_read_at(fd, bytes, len, (off_t)(length - len));

	*proof = n == (ssize_t)len ? XXH3_64bits(bytes, len) : 0;
	return n >= 0;
}

static enum status read_failed(const char *path, struct error *err)
{
	return error_set_errno(err, errno, "%s cannot be read", quote(path).text);
}

static enum status read_place(struct file_sink *s, struct error *err)
{
	struct stat st;

	if (fstat(s->writer.fd, &st) != 0) {
		return error_set_errno(err, errno, "%s",
				       quote(s->settings.target).text);
	}
	s->place.inode = st.st_ino;
	s->place.length = (uint64_t)st.st_size;
	if (!proof_of(s->writer.fd, s->place.length, &s->place.proof)) {
		return read_failed(s->settings.target, err);
	}
	s->writer.written = 0;
	return ST_OK;
}

/* Is it the file of the place, and are all of its acknowledged bytes there? */
static enum status check_there(int fd, const char *path, const struct stat *st,
			       const struct sink_place *place, bool *is_there,
			       struct error *err)
{
	uint64_t proof;

	*is_there =
	    st->st_ino == place->inode && (uint64_t)st->st_size >= place->length;
	if (*is_there && !proof_of(fd, place->length, &proof)) {
		return read_failed(path, err);
	}
	*is_there = *is_there && proof == place->proof;
	return ST_OK;
}

/* What was put is on disk, and the place is its end. */
static enum status sync_all(struct file_sink *s, struct error *err)
{
	enum status status = line_batch_flush(&s->batch, err);

	if (status != ST_OK || s->writer.written == 0) {
		return status;
	}
	/* Once it has failed nobody knows what is on disk: no second try. */
	if (!file_sync(s->writer.fd)) {
		return error_set_errno(err, errno, "%s cannot be synced",
				       quote(s->settings.target).text);
	}
	FAULT_POINT("file-synced");
	status = read_place(s, err);
	s->place.start = s->start;
	return status;
}

/* ---- the file ---- */

/* Which file it is: s->real. `*exists`: whether there is one. */
static enum status find_path(struct file_sink *s, bool *exists, struct error *err)
{
	const struct output_path place = {.scheme = file_kind.scheme,
					  .path = s->settings.target,
					  .database_path = s->settings.database_path,
					  .state_path = s->settings.state_path};
	struct stat st;
	char *real;
	enum status status = output_path_find(&place, &real, exists, &st, err);

	if (status == ST_OK) {
		free(s->real);
		s->real = real;
	}
	return status;
}

static enum status check_folder(const struct file_sink *s, struct error *err)
{
	char *folder = output_path_folder(s->real);
	enum status status = ST_OK;

	if (!folder) {
		return error_no_memory(err, "the path of the output");
	}
	if (*output_path_name(s->real) == '\0') {
		status = error_set(err, ST_CONFIG, "--to file:%s: must name a file",
				   s->settings.target);
	} else if (access(folder, W_OK | X_OK) != 0) {
		status = error_set(err, ST_CONFIG,
				   "--to file:%s: no file can be made in %s: %s",
				   s->settings.target, folder, strerror(errno));
	}
	free(folder);
	return status;
}

/* Who may read the database may read its rows here. Another group is another matter. */
static void take_permissions(const struct file_sink *s, int fd)
{
	struct stat database, st;

	if (stat(s->settings.database_path, &database) == 0 && fstat(fd, &st) == 0) {
		mode_t mode = database.st_mode & 0666;

		if (st.st_gid != database.st_gid) {
			mode &= (mode_t)~0060;
		}
		(void)fchmod(fd, mode | 0600);
	}
}

static enum status is_taken(const struct file_sink *s, struct error *err)
{
	return error_set(err, ST_CONFIG, "--to file:%s: another process is writing it",
			 s->settings.target);
}

/* The file at PATH, with our lock on it, made if there is none. */
static enum status open_file(struct file_sink *s, int *out, struct error *err)
{
	struct owned_place place = {.dir_fd = AT_FDCWD,
				    .instead = "name another file with --to file:"};
	bool exists, made;
	int fd;

	if (find_path(s, &exists, err) != ST_OK) {
		return err->status;
	}
	place.name = place.path = s->real;
	if (owned_file_open(&place, O_RDWR | O_APPEND | O_CREAT, &fd, &made, err) !=
	    ST_OK) {
		/* A path that cannot be opened is a wrong one, a full disk is not. */
		err->status = errno_is_limit(err->sys_errno) ? ST_IO : ST_CONFIG;
		return err->status;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
		(void)close(fd);
		return is_taken(s, err);
	}
	if (made) {
		FAULT_POINT("file-made");
		take_permissions(s, fd);
		/* The name of a new file lasts. */
		(void)!output_path_sync_folder(s->real);
	}
	*out = fd;
	return ST_OK;
}

/* What is appended begins a line. */
static enum status end_line(struct file_sink *s, struct error *err)
{
	char last = '\n';
	enum status status;

	if (s->place.length > 0 &&
	    file_read_at(s->writer.fd, &last, 1, (off_t)s->place.length - 1) < 0) {
		return read_failed(s->settings.target, err);
	}
	if (last == '\n') {
		return ST_OK;
	}
	status = file_writer_put(&s->writer, "\n", 1, err);
	return status == ST_OK ? sync_all(s, err) : status;
}

static enum status begin_file(struct file_sink *s, struct error *err)
{
	enum status status = read_place(s, err);

	if (status == ST_OK) {
		status = end_line(s, err);
	}
	s->start = s->place.start = s->place.length;
	return status;
}

/* ---- rotation ---- */

static bool is_at_path(const struct file_sink *s)
{
	struct stat st, mine;

	return stat(s->settings.target, &st) == 0 && fstat(s->writer.fd, &mine) == 0 &&
	       st.st_dev == mine.st_dev && st.st_ino == mine.st_ino;
}

/* All that was put is acknowledged in the old file; then nothing is written to the new
 * one before its place is stored. */
static enum status reopen(struct file_sink *s, struct error *err)
{
	struct error problem;
	enum status status = s->settings.acknowledged(s->settings.context, true, err);
	int fd;

	if (status != ST_OK || is_at_path(s)) {
		return status;
	}
	if (open_file(s, &fd, &problem) != ST_OK) {
		log_error("%s; goes on in the old file until the next SIGHUP",
			  problem.text);
		return ST_OK;
	}
	(void)close(s->writer.fd);
	s->writer.fd = fd;
	status = begin_file(s, err);
	FAULT_POINT("file-reopened");
	if (status == ST_OK) {
		log_info("goes on in a new %s", quote(s->settings.target).text);
		status = s->settings.acknowledged(s->settings.context, true, err);
	}
	return status;
}

/* ---- the calls of a sink ---- */

static enum status flush_all(struct file_sink *s, struct error *err)
{
	enum status status = sync_all(s, err);

	if (status == ST_OK && is_set(s->settings.reopen)) {
		*s->settings.reopen = 0;
		status = reopen(s, err);
	}
	return status;
}

static enum status file_flush(struct sink *sink, struct error *err)
{
	struct file_sink *s = (struct file_sink *)sink;

	return s->writer.fd < 0 ? ST_OK : flush_all(s, err);
}

static enum status file_put(struct sink *sink, const struct message *message,
			    struct error *err)
{
	struct file_sink *s = (struct file_sink *)sink;
	enum status status = ST_OK;

	if (s->writer.written + s->batch.len >= FILE_SYNC_BYTES ||
	    is_set(s->settings.reopen)) {
		status = file_flush(sink, err);
		if (status == ST_OK) {
			status =
			    s->settings.acknowledged(s->settings.context, false, err);
		}
	}
	if (status == ST_OK && message->index == 0) {
		s->start = s->place.length + s->writer.written + s->batch.len;
	}
	return status == ST_OK ? line_batch_put(&s->batch, message, err) : status;
}

static void file_close(struct sink *sink)
{
	struct file_sink *s = (struct file_sink *)sink;

	if (s->writer.fd >= 0) {
		(void)close(s->writer.fd);
	}
	free(s->real);
	free(s);
}

static struct sink_place file_place(const struct sink *sink)
{
	return ((const struct file_sink *)sink)->place;
}

/* ---- open and begin ---- */

static enum status file_open(const struct sink_settings *settings, struct sink **out,
			     struct error *err)
{
	struct file_sink *s = calloc(1, sizeof *s);
	bool exists = false;
	enum status status;

	if (!s) {
		return error_no_memory(err, "the output buffer");
	}
	s->sink.kind = &file_kind;
	s->settings = *settings;
	s->writer = (struct file_writer){.fd = -1,
					 .path = settings->target,
					 .stop = settings->stop,
					 .patience_ns = settings->patience_ns,
					 .on_outage = settings->on_outage,
					 .context = settings->context};
	s->batch.write = write_lines;
	s->batch.context = s;
	s->batch.record_lines = settings->record_lines;
	status = find_path(s, &exists, err);
	if (status == ST_OK && !exists) {
		status = check_folder(s, err);
	}
	if (status != ST_OK) {
		free(s->real);
		free(s);
		return status;
	}
	*out = &s->sink;
	return ST_OK;
}

/* Nobody is kept from the file, and it is not made. */
static enum status file_look(struct sink *sink, const struct sink_own *own,
			     const struct sink_look *look, struct error *err)
{
	struct file_sink *s = (struct file_sink *)sink;
	struct owned_place place = {.dir_fd = AT_FDCWD,
				    .name = s->real,
				    .path = s->real,
				    .instead = "name another file with --to file:"};
	struct stat st;

	(void)own;
	(void)look;
	if (lstat(s->real, &st) != 0) {
		return ST_OK; /* its folder was looked at */
	}
	if (owned_file_look(&place, err) != ST_OK) {
		return err->status = ST_CONFIG;
	}
	if (faccessat(AT_FDCWD, s->real, R_OK | W_OK, AT_EACCESS) != 0) {
		(void)error_set_errno(err, errno, "%s cannot be opened",
				      quote(s->real).text);
		return err->status = ST_CONFIG;
	}
	return flock_holder(&st) != 0 ? is_taken(s, err) : ST_OK;
}

static enum status cut(int fd, const char *path, uint64_t size, uint64_t length,
		       struct error *err)
{
	if (size > length) {
		FAULT_POINT("file-before-cut");
		if (!file_set_length(fd, (off_t)length) || !file_sync(fd)) {
			return error_set_errno(err, errno, "%s cannot be cut back",
					       quote(path).text);
		}
		FAULT_POINT("file-cut");
		log_info("%s: cut back by %" PRIu64
			 " bytes that had not been acknowledged",
			 quote(path).text, size - length);
	}
	return ST_OK;
}

/* One candidate of cut_renamed. */
static enum status cut_if_there(int folder_fd, const char *name,
				const struct sink_place *stored, struct error *err)
{
	int fd = openat(folder_fd, name,
			O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;
	bool is_there = false;
	enum status status = ST_OK;

	if (fd < 0) {
		return errno == ENOENT || errno == ELOOP
			   ? ST_OK
			   : error_set_errno(err, errno, "%s cannot be opened",
					     quote(name).text);
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		status = check_there(fd, name, &st, stored, &is_there, err);
	}
	if (status == ST_OK && is_there) {
		status = cut(fd, name, (uint64_t)st.st_size, stored->length, err);
	}
	(void)close(fd);
	return status;
}

/* A rotation renamed the file, and no SIGHUP came before the end: what it has beyond
 * the place comes again in the new file. */
static enum status cut_renamed(const struct file_sink *s,
			       const struct sink_place *stored, struct error *err)
{
	const char *base = output_path_name(s->real);
	char *folder = output_path_folder(s->real);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;
	enum status status = ST_OK;

	if (folder && !dir) {
		status = error_set_errno(err, errno, "%s cannot be listed",
					 quote(folder).text);
	}
	free(folder);
	while (dir && status == ST_OK && (entry = readdir(dir)) != NULL) {
		if (entry->d_ino == stored->inode &&
		    strncmp(entry->d_name, base, strlen(base)) == 0) {
			status = cut_if_there(dirfd(dir), entry->d_name, stored, err);
		}
	}
	if (dir) {
		(void)closedir(dir);
	}
	return status;
}

/* The open file against what was stored. */
static enum status settle(struct file_sink *s, const struct sink_place *stored,
			  bool at_start, struct error *err)
{
	struct stat st;
	uint64_t length = at_start ? stored->start : stored->length;
	bool is_there;
	enum status status;

	if (fstat(s->writer.fd, &st) != 0) {
		return error_set_errno(err, errno, "%s",
				       quote(s->settings.target).text);
	}
	status =
	    check_there(s->writer.fd, s->settings.target, &st, stored, &is_there, err);
	if (status != ST_OK) {
		return status;
	}
	if (is_there && length <= stored->length) {
		status = cut(s->writer.fd, s->settings.target, (uint64_t)st.st_size,
			     length, err);
		if (status == ST_OK) {
			status = begin_file(s, err);
		}
		s->start = s->place.start =
		    stored->start < length ? stored->start : length;
		return status;
	}
	if (st.st_ino == stored->inode && (uint64_t)st.st_size < stored->length) {
		log_warn("%s has %" PRIu64 " bytes, but %" PRIu64
			 " were acknowledged: lines are gone; appending",
			 quote(s->settings.target).text, (uint64_t)st.st_size,
			 stored->length);
	} else {
		log_info("%s is not the file of the last run; appending",
			 quote(s->settings.target).text);
		status = cut_renamed(s, stored, err);
		if (status != ST_OK) {
			return status;
		}
	}
	return begin_file(s, err);
}

static enum status file_begin(struct sink *sink, const struct sink_start *start,
			      struct error *err)
{
	struct file_sink *s = (struct file_sink *)sink;
	enum status status = open_file(s, &s->writer.fd, err);

	if (status != ST_OK) {
		return status;
	}
	return start->place.inode ? settle(s, &start->place, start->at_start, err)
				  : begin_file(s, err);
}

const struct sink_kind file_kind = {
    .name = "file",
    .title = "the file",
    .scheme = "file:",
    .target = "PATH",
    .help = "append them to a file, each once; the position is kept\n"
	    "in DATABASE-rowtail/ unless --state says otherwise;\n"
	    "SIGHUP opens PATH again\n",
    .has_state = true,
    .reopens = true,
    .open = file_open,
    .close = file_close,
    .put = file_put,
    .flush = file_flush,
    .begin = file_begin,
    .look = file_look,
    .place = file_place,
};
