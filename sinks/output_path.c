/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/output_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file_io.h"
#include "src/base/quote.h"

#define LINKS_MAX 40 /* as the kernel has it */

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the path of the output");
}

static enum status refuse(const struct output_path *place, const char *why,
			  struct error *err)
{
	return error_set(err, ST_CONFIG, "%s%s%s: %s", place->setting ? "" : "--to ",
			 place->setting ? place->setting : place->scheme,
			 quote(place->path).text, why);
}

char *output_path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash          ? strdup(".")
	       : slash == path ? strdup("/")
			       : strndup(path, (size_t)(slash - path));
}

const char *output_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* FOLDER/NAME; NULL: out of memory. */
static char *join(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s", folder,
		     folder[strlen(folder) - 1] == '/' ? "" : "/", name) < 0) {
		return NULL;
	}
	return path;
}

/* With its folder resolved, if that is there. NULL: out of memory. */
static char *canonical(const char *path)
{
	char *folder = output_path_folder(path);
	char *real = folder ? realpath(folder, NULL) : NULL;
	char *out = real ? join(real, output_path_name(path)) : strdup(path);

	free(folder);
	free(real);
	return out;
}

/* Where a link leads, with the folder that it is in. */
static enum status follow(const struct output_path *place, char **path,
			  struct error *err)
{
	char target[PATH_MAX];
	ssize_t len = readlink(*path, target, sizeof target - 1);
	char *folder;
	char *next = NULL;

	if (len < 0) {
		return refuse(place, strerror(errno), err);
	}
	target[len] = '\0';
	folder = output_path_folder(*path);
	if (folder) {
		next = target[0] == '/' ? strdup(target) : join(folder, target);
	}
	free(folder);
	if (!next) {
		return out_of_memory(err);
	}
	free(*path);
	*path = next;
	return ST_OK;
}

static enum status refuse_link(const struct output_path *place, const char *link,
			       uid_t owner, struct error *err)
{
	char why[QUOTED_BYTES + 128];

	(void)snprintf(why, sizeof why,
		       "%s is a link that belongs to user %u, who may have it lead "
		       "anywhere; name the file itself, or another one",
		       quote(link).text, (unsigned)owner);
	return refuse(place, why, err);
}

/* Follow the links that may be followed. */
static enum status resolve(const struct output_path *place, char **path, bool *exists,
			   struct stat *st, struct error *err)
{
	enum status status = ST_OK;

	for (int links = 0; status == ST_OK; links++) {
		*exists = lstat(*path, st) == 0;
		if (!*exists && errno != ENOENT) {
			return refuse(place, strerror(errno), err);
		}
		if (!*exists || !S_ISLNK(st->st_mode)) {
			return ST_OK;
		}
		if (links == LINKS_MAX) {
			return refuse(place, strerror(ELOOP), err);
		}
		if (st->st_uid != geteuid() && st->st_uid != 0) {
			return refuse_link(place, *path, st->st_uid, err);
		}
		status = follow(place, path, err);
	}
	return status;
}

/* Is the file at `path`, or a file that has this name? */
static bool is_named(const char *real, const struct stat *st, const char *path)
{
	struct stat other;

	return strcmp(real, path) == 0 ||
	       (st && stat(path, &other) == 0 && other.st_dev == st->st_dev &&
		other.st_ino == st->st_ino);
}

/* The names that SQLite gives to what belongs to a database. */
static enum status check_database(const struct output_path *place, const char *real,
				  const struct stat *st, const char *database,
				  struct error *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char *path;
		bool is_same;

		if (asprintf(&path, "%s%s", database, suffixes[i]) < 0) {
			return out_of_memory(err);
		}
		is_same = is_named(real, st, path);
		free(path);
		if (is_same) {
			return refuse(place, "that is a file of the database", err);
		}
	}
	return ST_OK;
}

/* What another setting writes; NULL: nothing. */
static enum status check_output(const struct output_path *place, const char *real,
				const struct stat *st, const char *output,
				const char *why, struct error *err)
{
	char *names[2] = {NULL, NULL};
	bool is_same = false;

	if (!output) {
		return ST_OK;
	}
	names[0] = canonical(output);
	names[1] = realpath(output, NULL);
	for (size_t i = 0; i < 2; i++) {
		is_same |= names[i] && is_named(real, st, names[i]);
		free(names[i]);
	}
	return is_same ? refuse(place, why, err) : ST_OK;
}

static enum status check_outputs(const struct output_path *place, const char *real,
				 const struct stat *st, struct error *err)
{
	enum status status =
	    check_output(place, real, st, place->output,
			 "that is what --to names; name another file", err);

	return status == ST_OK
		   ? check_output(place, real, st, place->notifications,
				  "that is what notification.file names; name another "
				  "file",
				  err)
		   : status;
}

/* The state directory, or in it. */
static bool is_in(const char *real, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(real, folder, len) == 0 &&
	       (real[len] == '/' || real[len] == '\0');
}

/* By another mount the path is another, the folder is not. */
static bool is_in_same_folder(const char *real, const char *state)
{
	char *folder = output_path_folder(real);
	struct stat a, b;
	bool is_same = folder && stat(folder, &a) == 0 && stat(state, &b) == 0 &&
		       a.st_dev == b.st_dev && a.st_ino == b.st_ino;

	free(folder);
	return is_same;
}

static enum status check_state(const struct output_path *place, const char *real,
			       struct error *err)
{
	char *state;
	bool is_state;

	if (!place->state_path) {
		return ST_OK;
	}
	state = realpath(place->state_path, NULL);
	if (!state) {
		state = canonical(place->state_path);
	}
	if (!state) {
		return out_of_memory(err);
	}
	is_state = is_in(real, state) || is_in_same_folder(real, state);
	free(state);
	return is_state
		   ? refuse(place,
			    "that is in the state directory, which is rowtail's own; "
			    "name a file elsewhere",
			    err)
		   : ST_OK;
}

static enum status check_names(const struct output_path *place, const char *real,
			       const struct stat *st, struct error *err)
{
	/* A database may be named by a link; its other files have the real name. */
	char *names[2] = {canonical(place->database_path),
			  realpath(place->database_path, NULL)};
	enum status status = names[0] ? ST_OK : out_of_memory(err);

	for (size_t i = 0; i < 2 && status == ST_OK; i++) {
		if (names[i]) {
			status = check_database(place, real, st, names[i], err);
		}
	}
	free(names[0]);
	free(names[1]);
	if (status == ST_OK) {
		status = check_outputs(place, real, st, err);
	}
	return status == ST_OK ? check_state(place, real, err) : status;
}

enum status output_path_check_beside(const struct output_path *place, const char *path,
				     struct error *err)
{
	char *real = canonical(path);
	struct stat st;
	enum status status;

	if (!real) {
		return out_of_memory(err);
	}
	/* A link is no file of theirs, wherever it leads. */
	status = check_names(place, real,
			     lstat(real, &st) == 0 && !S_ISLNK(st.st_mode) ? &st : NULL,
			     err);
	if (status == ST_CONFIG) {
		(void)error_set(err, ST_CONFIG,
				"--to %s%s: %s is kept beside it, and is a file of the "
				"database or of the state directory; name another file",
				place->scheme, quote(place->path).text,
				quote(real).text);
	}
	free(real);
	return status;
}

enum status output_path_find(const struct output_path *place, char **real, bool *exists,
			     struct stat *st, struct error *err)
{
	char *path = strdup(place->path);
	char *found = NULL;
	enum status status =
	    path ? resolve(place, &path, exists, st, err) : out_of_memory(err);

	if (status == ST_OK) {
		found = canonical(path);
		status = found ? check_names(place, found, *exists ? st : NULL, err)
			       : out_of_memory(err);
	}
	free(path);
	if (status == ST_OK && *exists && !S_ISREG(st->st_mode) && !place->setting) {
		status = refuse(place,
				"not a regular file; for anything else use --to stdout "
				"and > or |",
				err);
	}
	if (status != ST_OK) {
		free(found);
		return status;
	}
	*real = found;
	return ST_OK;
}

bool output_path_sync_folder(const char *path)
{
	char *folder = output_path_folder(path);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool is_synced = fd >= 0 && file_sync_all(fd);
	int why = errno;

	if (fd >= 0) {
		(void)close(fd);
	}
	free(folder);
	errno = why;
	return is_synced;
}
