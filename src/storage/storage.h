/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/storage.h -- where the files of an archive lie.
 *
 * An archive has levels of files (docs/archive.md): level 0 as they were written, 1 to
 * 8 compacted, 9 whole databases. A file is named by its level and its range of TXIDs,
 * and never changes once it is there. A kind of storage is one table of calls: list a
 * level, open a file, read a range of it, close it. Nothing is sought or mapped, so
 * that a range may as well be a request to a server, and who lists does so once.
 *
 * Who writes opens it with location_open_to_write, and is alone: a note says whose
 * archive it is. The other calls write to none.
 *
 * OWNERSHIP  location_open / storage_close, storage_file_open / storage_file_close;
 *            files are closed before their storage.
 * THREADS    One at a time.
 * ERRORS     ST_CONFIG: no archive is there, or not of a kind that can be read; it was
 *            opened to be read only, or somebody else writes to it. ST_IO, ST_NOMEM.
 *            ST_LOST: the file has gone since it was listed.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

#define ARCHIVE_LEVELS         10u
#define ARCHIVE_SNAPSHOT_LEVEL 9u

struct archive_file {
	uint64_t min_txid; /* 1: it has the whole database */
	uint64_t max_txid; /* the state that it leads to */
	int64_t time_ns;   /* of that state, since 1970; what the storage says */
	int64_t stored_ns; /* when the storage got it, since 1970; 0: not known */
	uint64_t size;     /* bytes */
	unsigned level;
	bool time_is_rough; /* storage_time knows better, but has to ask */
};

/* Have they the same name? */
static inline bool archive_file_is(const struct archive_file *a,
				   const struct archive_file *b)
{
	return a->level == b->level && a->min_txid == b->min_txid &&
	       a->max_txid == b->max_txid;
}

struct archive_list {
	struct archive_file *files; /* by level, then by max_txid, then min_txid */
	size_t count;
	size_t cap;
	struct storage *storage; /* borrowed, for storage_time; NULL: times are right */
};

void archive_list_clear(struct archive_list *list);

/* Append; ST_NOMEM. For who lists, and for tests. */
enum status archive_list_add(struct archive_list *list, const struct archive_file *file,
			     struct error *err) MUST_CHECK;
void archive_list_sort(struct archive_list *list);

struct storage;
struct storage_file;

/* What is read of files that come next. */
enum storage_reading {
	STORAGE_WHOLE,   /* all of them, from the beginning to the end */
	STORAGE_INDEXES, /* their ends: all of those that are small */
};

/* What a kind of storage does. */
struct storage_calls {
	/* Append the files of a level, in any order; what has another name is left out,
	 * as is a level that is not there. */
	enum status (*list)(struct storage *storage, unsigned level,
			    struct archive_list *list, struct error *err);
	enum status (*open)(struct storage *storage, const struct archive_file *file,
			    struct storage_file **out, struct error *err);
	/* Up to `len` bytes from `offset`: less only at the end of the file. */
	enum status (*read)(struct storage_file *file, void *bytes, size_t len,
			    uint64_t offset, size_t *got, struct error *err);
	void (*close_file)(struct storage_file *file);
	void (*close)(struct storage *storage);
	bool is_far; /* each read is a request */
	/* What storage_expect says; NULL: it is of no use. */
	void (*expect)(struct storage *storage, const struct archive_file *const *files,
		       size_t count, enum storage_reading how);

	/* What storage_list and storage_time say; NULL: level by level, and times are
	 * right as they are listed. */
	enum status (*list_all)(struct storage *storage, struct archive_list *list,
				struct error *err);
	enum status (*time)(struct storage *storage, const struct archive_file *file,
			    int64_t *time_ns, struct error *err);

	/* What the calls of the same names below say; NULL where it is only read. */
	enum status (*put)(struct storage *storage, const struct archive_file *file,
			   int fd, struct error *err);
	enum status (*remove)(struct storage *storage, const struct archive_file *file,
			      struct error *err);
	enum status (*get_note)(struct storage *storage, const char *name, void *bytes,
				size_t cap, size_t *len, struct error *err);
	enum status (*put_note)(struct storage *storage, const char *name,
				const void *bytes, size_t len, struct error *err);
	/* What storage_check says; NULL: it always is. */
	enum status (*check)(struct storage *storage, struct error *err);

	/* NULL: temporary files lie where all do (src/base/temp_file.h). */
	enum status (*temp)(struct storage *storage, int *fd, struct error *err);
};

struct storage {
	const struct storage_calls *calls;
};

#define STORAGE_NAME_BYTES 400

struct storage_file {
	struct storage *storage;
	uint64_t size;                 /* as it is now, bytes */
	char name[STORAGE_NAME_BYTES]; /* for messages, quoted */
};

void storage_close(struct storage *storage);

/* All levels, each listed once, into `*list`, which the caller clears also after an
 * error. */
enum status storage_list(struct storage *storage, struct archive_list *list,
			 struct error *err) MUST_CHECK;

/* The time of the state that the file leads to; where it is rough, by a request. */
enum status storage_time(struct storage *storage, const struct archive_file *file,
			 int64_t *time_ns, struct error *err) MUST_CHECK;

/* All times of a list become right; a file that has gone meanwhile is left out. */
enum status storage_list_times(struct archive_list *list, struct error *err) MUST_CHECK;

static inline enum status storage_file_open(struct storage *storage,
					    const struct archive_file *file,
					    struct storage_file **out,
					    struct error *err) MUST_CHECK;
static inline enum status storage_file_open(struct storage *storage,
					    const struct archive_file *file,
					    struct storage_file **out,
					    struct error *err)
{
	return storage->calls->open(storage, file, out, err);
}

static inline enum status storage_file_read(struct storage_file *file, void *bytes,
					    size_t len, uint64_t offset, size_t *got,
					    struct error *err) MUST_CHECK;
static inline enum status storage_file_read(struct storage_file *file, void *bytes,
					    size_t len, uint64_t offset, size_t *got,
					    struct error *err)
{
	return file->storage->calls->read(file, bytes, len, offset, got, err);
}

/* These files will be opened and read next, in this order, which a storage that is far
 * away may use to fetch them ahead. What it was told before counts no more. The files
 * need not stay. */
static inline void storage_expect(struct storage *storage,
				  const struct archive_file *const *files, size_t count,
				  enum storage_reading how)
{
	if (storage->calls->expect) {
		storage->calls->expect(storage, files, count, how);
	}
}

static inline void storage_file_close(struct storage_file *file)
{
	if (file) {
		file->storage->calls->close_file(file);
	}
}

/* For who keeps it open for long: is it still what its location names? ST_IO: nothing
 * is there now. ST_LOST: another one is; whoever goes on opens it anew. */
static inline enum status storage_check(struct storage *storage,
					struct error *err) MUST_CHECK;
static inline enum status storage_check(struct storage *storage, struct error *err)
{
	return storage->calls->check ? storage->calls->check(storage, err) : ST_OK;
}

/* ---- writing ---- */

/* ST_CONFIG: the storage was opened to be read only. */
enum status storage_is_closed(struct error *err) MUST_CHECK;

/*
 * What the finished file `fd` has, of file->size bytes, becomes that file of the
 * archive, with file->time_ns as its time: whole and after a power cut, or not at all.
 * `fd` can be read; it must not be written to any more, now or later: where it can be,
 * the archive has the same file under a second name (a hard link), and its mtime is
 * changed. ST_OK also if the same bytes are there already; ST_CONFIG if others are:
 * another writer. Nothing that is there is overwritten.
 */
static inline enum status storage_put(struct storage *storage,
				      const struct archive_file *file, int fd,
				      struct error *err) MUST_CHECK;
static inline enum status storage_put(struct storage *storage,
				      const struct archive_file *file, int fd,
				      struct error *err)
{
	return storage->calls->put ? storage->calls->put(storage, file, fd, err)
				   : storage_is_closed(err);
}

/* An empty file without a name, to make a file of the archive in; if it can be, on the
 * disk that the archive lies on. The caller closes it. */
enum status storage_temp(struct storage *storage, int *fd,
			 struct error *err) MUST_CHECK;

/* ST_OK also if it was not there. */
static inline enum status storage_remove(struct storage *storage,
					 const struct archive_file *file,
					 struct error *err) MUST_CHECK;
static inline enum status storage_remove(struct storage *storage,
					 const struct archive_file *file,
					 struct error *err)
{
	return storage->calls->remove ? storage->calls->remove(storage, file, err)
				      : storage_is_closed(err);
}

/* A small object beside the files, such as "rowtail.json", of at most `cap` bytes.
 * ST_END: there is none. */
static inline enum status storage_get_note(struct storage *storage, const char *name,
					   void *bytes, size_t cap, size_t *len,
					   struct error *err) MUST_CHECK;
static inline enum status storage_get_note(struct storage *storage, const char *name,
					   void *bytes, size_t cap, size_t *len,
					   struct error *err)
{
	return storage->calls->get_note
		   ? storage->calls->get_note(storage, name, bytes, cap, len, err)
		   : ST_END;
}

/* Whole and after a power cut, or not at all. ST_CONFIG: one with other bytes is there;
 * it stays. */
static inline enum status storage_put_note(struct storage *storage, const char *name,
					   const void *bytes, size_t len,
					   struct error *err) MUST_CHECK;
static inline enum status storage_put_note(struct storage *storage, const char *name,
					   const void *bytes, size_t len,
					   struct error *err)
{
	return storage->calls->put_note
		   ? storage->calls->put_note(storage, name, bytes, len, err)
		   : storage_is_closed(err);
}

#endif
