/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/signal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/log.h"
#include "src/base/quote.h"

#define BUFFER_BYTES (SIGNAL_MAX_BYTES + 1) /* a line and its end */
#define LINES_MAX    200                    /* that one call looks at */
#define WARNINGS_MAX 10                     /* of lines, between two cuts */
#define LEASE_TRIES  3                      /* looks, while others have it open */

struct signal_file {
	char *path;
	char *database_path; /* NULL: none */
	int64_t poll_ns;
	int64_t due_ns;            /* of the next look */
	bool is_kept;              /* `place` is, for a later run */
	bool is_resumed;           /* `place` of an earlier run is looked up */
	struct signal_place place; /* of the last signal that was taken */

	dev_t device; /* of the file that the rest is about */
	ino_t inode;
	off_t done;       /* up to here it is taken */
	off_t half_size;  /* of the file, when its last line had no end; else -1 */
	bool is_skipping; /* a line that is too long */
	bool is_ours;     /* a line was a signal */
	unsigned warnings;
	unsigned tries; /* to have it alone */

	char tail[SIGNAL_TAIL_BYTES]; /* what is before `done` */
	size_t tail_len;

	char *bytes; /* of the file, from `done` - `at` on */
	size_t at, len;
	bool is_last;  /* the file ends with them */
	bool is_whole; /* and their last line, too */

	size_t given; /* bytes of the line that waits to be taken; 0: none */
	bool is_said; /* what is wrong with the file */
};

/* ---- what is wrong ---- */

static void say_once(struct signal_file *f, const struct error *err)
{
	if (!f->is_said) {
		log_warn("%s; until that is mended no signals are taken from it",
			 err->text);
	}
	f->is_said = true;
}

static void warn_of_line(struct signal_file *f, const char *what)
{
	if (f->warnings < WARNINGS_MAX) {
		log_warn("%s: %s; it is left out", quote(f->path).text, what);
	} else if (f->warnings == WARNINGS_MAX) {
		log_warn("%s has many lines that are no signals; more of them are not "
			 "told of",
			 quote(f->path).text);
	}
	f->warnings++;
}

/* ---- the file ---- */

static enum status unfit(const struct signal_file *f, const char *what,
			 struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "%s %s, from which no signals are taken: name another "
			 "signal.file",
			 quote(f->path).text, what);
}

/* The database's, or one beside it: then it must not even be opened, as closing it
 * would let go of SQLite's locks. */
static bool is_of_database(const struct signal_file *f, const struct stat *st)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; f->database_path && i < sizeof ends / sizeof *ends; i++) {
		struct stat other;
		char *path;
		bool is_same;

		if (asprintf(&path, "%s%s", f->database_path, ends[i]) < 0) {
			return true;
		}
		is_same = stat(path, &other) == 0 && other.st_dev == st->st_dev &&
			  other.st_ino == st->st_ino;
		free(path);
		if (is_same) {
			return true;
		}
	}
	return false;
}

static enum status check(const struct signal_file *f, const struct stat *st,
			 struct error *err)
{
	if (S_ISLNK(st->st_mode)) {
		return unfit(f, "is a symbolic link", err);
	}
	if (!S_ISREG(st->st_mode)) {
		return unfit(f, "is no regular file", err);
	}
	if (is_of_database(f, st)) {
		return unfit(f, "belongs to the database", err);
	}
	return st->st_nlink > 1 ? unfit(f, "has other names (hard links)", err) : ST_OK;
}

/* Open what was judged, and not what has its name by now. */
static int open_again(int path_fd)
{
	char link[64];

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
	return open(link, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Open the file; -1 in `*fd` and ST_OK: there is none. */
static enum status open_checked(const struct signal_file *f, int *fd, struct stat *st,
				struct error *err)
{
	int path_fd = open(f->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	enum status status = ST_OK;

	*fd = -1;
	if (path_fd < 0) {
		return errno == ENOENT
			   ? ST_OK
			   : error_set_errno(err, errno, "%s cannot be opened",
					     quote(f->path).text);
	}
	if (fstat(path_fd, st) != 0) {
		status = error_set_errno(err, errno, "%s cannot be examined",
					 quote(f->path).text);
	} else {
		status = check(f, st, err);
	}
	if (status == ST_OK) {
		*fd = open_again(path_fd);
	}
	if (status == ST_OK && *fd < 0) {
		status = error_set_errno(err, errno,
					 "%s cannot be opened to be read and cut",
					 quote(f->path).text);
	}
	(void)close(path_fd);
	return status;
}

/* None of its bytes are at hand. */
static void forget_bytes(struct signal_file *f)
{
	f->at = f->len = 0;
	f->is_last = true;
}

static void begin_anew(struct signal_file *f)
{
	f->place = (struct signal_place){0};
	f->done = 0;
	f->tail_len = 0;
	f->half_size = -1;
	f->is_skipping = false;
	f->is_ours = false;
	f->warnings = 0;
	f->tries = 0;
	forget_bytes(f);
}

static bool is_same(const struct signal_file *f, const struct stat *st)
{
	return st->st_dev == f->device && st->st_ino == f->inode &&
	       st->st_size >= f->done;
}

/* What is taken is still there: somebody may have written the file anew. */
static bool is_grown(const struct signal_file *f, int fd)
{
	char now[SIGNAL_TAIL_BYTES];

	return f->tail_len == 0 ||
	       (file_read_exactly(fd, now, f->tail_len, f->done - (off_t)f->tail_len) &&
		memcmp(now, f->tail, f->tail_len) == 0);
}

/* Of the bytes that are taken, which end at `end`. */
static void note_tail(struct signal_file *f, const char *end, size_t len)
{
	f->tail_len = len < SIGNAL_TAIL_BYTES ? len : SIGNAL_TAIL_BYTES;
	memcpy(f->tail, end - f->tail_len, f->tail_len);
}

/* With the signal that is given. */
static struct signal_place next_place(const struct signal_file *f)
{
	size_t at = f->at + f->given;
	size_t len = at < SIGNAL_TAIL_BYTES ? at : SIGNAL_TAIL_BYTES;

	return (struct signal_place){.inode = f->inode,
				     .taken = (uint64_t)f->done + f->given,
				     .tail_len = len,
				     .tail_hash =
					 XXH3_64bits(f->bytes + at - len, len)};
}

/* Go on behind what an earlier run has taken, if that is still there. */
static void resume(struct signal_file *f, int fd, const struct stat *st)
{
	const struct signal_place *place = &f->place;
	size_t len = (size_t)place->tail_len;

	f->is_resumed = true;
	if (place->taken == 0 || place->inode != st->st_ino ||
	    !file_read_exactly(fd, f->tail, len, (off_t)(place->taken - len)) ||
	    XXH3_64bits(f->tail, len) != place->tail_hash) {
		return;
	}
	f->device = st->st_dev;
	f->inode = st->st_ino;
	f->done = (off_t)place->taken;
	f->tail_len = len;
	f->is_ours = true;
}

/* ---- cutting ---- */

/*
 * Nobody has the file open, and who opens it waits until `fd` is closed. The signal
 * that would tell of that ends a process unless it is another one.
 */
static bool lease(struct signal_file *f, int fd, bool *wait)
{
	*wait = false;
	if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
		return true;
	}
	*wait = errno == EAGAIN && ++f->tries < LEASE_TRIES;
	return false;
}

/* All that it has is taken: cut it, unless there is more by now. */
static void cut(struct signal_file *f)
{
	struct stat st;
	struct error err;
	bool wait;
	int fd;

	if (!f->is_ours) {
		return;
	}
	if (open_checked(f, &fd, &st, &err) != ST_OK) {
		say_once(f, &err);
		return;
	}
	if (fd < 0) {
		return;
	}
	(void)lease(f, fd, &wait);
	if (wait) {
		(void)close(fd);
		return;
	}
	if (fstat(fd, &st) != 0 || !is_same(f, &st) || !is_grown(f, fd) ||
	    st.st_size > f->done) {
		f->due_ns = 0;
	} else if (!file_set_length(fd, 0)) {
		(void)error_set_errno(&err, errno, "%s cannot be cut",
				      quote(f->path).text);
		say_once(f, &err);
	} else {
		begin_anew(f);
	}
	(void)close(fd);
}

/* ---- reading ---- */

static void take_bytes(struct signal_file *f, int fd, const struct stat *st)
{
	ssize_t len = file_read_at(fd, f->bytes, BUFFER_BYTES, f->done);
	struct error err;

	f->at = f->len = 0;
	if (len < 0) {
		(void)error_set_errno(&err, errno, "%s cannot be read",
				      quote(f->path).text);
		say_once(f, &err);
		return;
	}
	f->is_said = false;
	f->len = (size_t)len;
	f->is_last = f->done + len >= st->st_size;
	f->is_whole = f->is_last && f->done + len == f->half_size;
	f->half_size =
	    f->is_last && len > 0 && f->bytes[len - 1] != '\n' ? f->done + len : -1;
}

static void look(struct signal_file *f)
{
	struct stat st;
	struct error err;
	int fd;

	f->due_ns = clock_mono_ns() + f->poll_ns;
	/* What is taken stays so: the same file may come back. */
	forget_bytes(f);
	if (open_checked(f, &fd, &st, &err) != ST_OK) {
		say_once(f, &err);
		return;
	}
	if (fd < 0) {
		f->is_said = false;
		return;
	}
	if (!f->is_resumed) {
		resume(f, fd, &st);
	}
	if (!is_same(f, &st) || !is_grown(f, fd)) {
		begin_anew(f);
		f->device = st.st_dev;
		f->inode = st.st_ino;
	}
	if (st.st_size == f->done) {
		(void)close(fd);
		if (st.st_size > 0) {
			cut(f);
		}
		return;
	}
	take_bytes(f, fd, &st);
	(void)close(fd);
}

static void consume(struct signal_file *f, size_t len)
{
	f->at += len;
	f->done += (off_t)len;
	note_tail(f, f->bytes + f->at, f->at);
	if (f->at == f->len && f->is_last) {
		cut(f);
	}
}

/* A line, and in `*len` its bytes with the end; false: none is whole. */
static bool find_line(struct signal_file *f, struct span *line, size_t *len)
{
	const char *from = f->bytes + f->at;
	size_t rest = f->len - f->at;
	const char *end = rest > 0 ? memchr(from, '\n', rest) : NULL;

	*len = end ? (size_t)(end - from) + 1 : rest;
	*line = (struct span){from, end ? *len - 1 : rest};
	if (line->len > 0 && from[line->len - 1] == '\r') {
		line->len--;
	}
	return end || (f->is_whole && rest > 0);
}

static bool is_blank(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.bytes[i] != ' ' && line.bytes[i] != '\t') {
			return false;
		}
	}
	return true;
}

/* What is left has no end: it is too long, or the rest is still to come. */
static void leave_rest(struct signal_file *f)
{
	size_t rest = f->len - f->at;

	if (f->is_skipping || rest >= BUFFER_BYTES) {
		if (!f->is_skipping) {
			warn_of_line(f, "a line is longer than 1 MiB");
		}
		f->is_skipping = true;
		consume(f, rest);
	}
	f->at = f->len = 0;
	if (!f->is_last) {
		f->due_ns = 0;
	}
}

/* NULL: it is none, and done with; or, with ST_NOMEM in `*status`, it stays. */
static struct signal *take_line(struct signal_file *f, struct span line, size_t len,
				enum status *status)
{
	struct signal *signal = NULL;
	struct error err;
	bool is_like = false;

	*status = ST_OK;
	if (!f->is_skipping && !is_blank(line)) {
		*status = signal_parse_line(line, &signal, &is_like, &err);
	}
	f->is_skipping = false;
	f->is_ours = f->is_ours || is_like;
	if (*status == ST_OK && signal) {
		f->given = len;
		return signal;
	}
	if (*status == ST_CONFIG) {
		warn_of_line(f, err.text);
	} else if (*status != ST_OK) {
		log_warn("%s: %s; it is tried again", quote(f->path).text, err.text);
		f->at = f->len = 0;
		return NULL;
	}
	*status = ST_OK;
	consume(f, len);
	return NULL;
}

struct signal *signal_file_next(struct signal_file *f)
{
	enum status status = ST_OK;

	if (f->given > 0) {
		return NULL;
	}
	for (int i = 0; status == ST_OK && i < LINES_MAX; i++) {
		struct span line;
		size_t len;

		if (find_line(f, &line, &len)) {
			struct signal *signal = take_line(f, line, len, &status);

			if (signal) {
				return signal;
			}
			continue;
		}
		leave_rest(f);
		if (clock_mono_ns() < f->due_ns) {
			return NULL;
		}
		look(f);
	}
	return NULL;
}

void signal_file_taken(struct signal_file *f)
{
	size_t len = f->given;

	f->place = next_place(f);
	f->given = 0;
	consume(f, len);
}

struct signal_place signal_file_place(const struct signal_file *f)
{
	return f->given > 0 ? next_place(f) : f->place;
}

int64_t signal_file_due_ns(const struct signal_file *f)
{
	return f->at < f->len || !f->is_last ? 0 : f->due_ns;
}

/* ---- open and close ---- */

enum status signal_file_open(const struct signal_file_settings *settings,
			     struct signal_file **out, struct error *err)
{
	struct signal_file *f = calloc(1, sizeof *f);
	const char *database_path = settings->database_path;
	enum status status = ST_OK;
	struct stat st;
	int fd = -1;

	if (!f) {
		return error_no_memory(err, "signal.file");
	}
	begin_anew(f);
	f->poll_ns = settings->poll_ns;
	f->is_kept = settings->is_kept;
	f->place = settings->taken;
	f->path = strdup(settings->path);
	f->database_path = database_path ? strdup(database_path) : NULL;
	f->bytes = malloc(BUFFER_BYTES);
	if (!f->path || !f->bytes || (database_path && !f->database_path)) {
		status = error_no_memory(err, "signal.file");
	} else if (open_checked(f, &fd, &st, err) == ST_CONFIG) {
		status = ST_CONFIG;
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	if (status != ST_OK) {
		signal_file_close(f);
		return status;
	}
	*out = f;
	return ST_OK;
}

void signal_file_close(struct signal_file *f)
{
	if (!f) {
		return;
	}
	if (!f->is_kept) {
		/* The next run would take all of it again. */
		f->tries = LEASE_TRIES;
		cut(f);
	}
	free(f->bytes);
	free(f->database_path);
	free(f->path);
	free(f);
}
