/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/meta_record.h -- the file DIR/meta: whose a state directory is, and S.
 *
 * FORMAT   docs/state.md. In every version it begins with a magic of 8 bytes and the
 *          version, and ends with an XXH3 checksum of all before.
 * THREADS  No shared state.
 */
#ifndef META_RECORD_H
#define META_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define STATE_VERSION    1
#define STATE_UUID_BYTES 16

#define META_FIXED     144 /* bytes before the path */
#define META_SUM_BYTES 8
#define META_MAX       (META_FIXED + PATH_MAX + META_SUM_BYTES)

/* File `meta`. */
struct state_meta {
	uint8_t uuid[STATE_UUID_BYTES];
	uint32_t page_size;   /* of the database, bytes */
	uint64_t epoch;       /* a random number of each copy and catch-up */
	int64_t begun_ns;     /* wall clock when the copy was complete */
	uint64_t base_lsn;    /* S: the shadow is the database as of here */
	uint32_t base_pages;  /* its size, pages */
	uint64_t base_chain;  /* the journal's checksum there */
	uint8_t base_salt[8]; /* where S stands in the application's WAL: its salts, */
	uint32_t base_frame;  /* the commit frame, 0: none, */
	uint64_t base_proof;  /* and the hash of that frame */
	/* The last clean stop (zeros: none since): the database's stat while nobody
	 * could change it, and the LSN that it is the state of. */
	bool is_clean;
	uint64_t clean_lsn;
	uint64_t clean_device, clean_inode, clean_size;
	int64_t clean_mtime_ns, clean_ctime_ns;
};

/* The bytes of the file into `bytes` (META_MAX of them); returns how many.
 * `database_path` is shorter than PATH_MAX. */
size_t meta_encode(const struct state_meta *meta, const char *database_path,
		   uint8_t *bytes);

/*
 * Read `len` bytes, all that the file has. NULL: they are right; `*path` is the real
 * path of the database, in `bytes` and without a NUL. Else what is wrong with them.
 * `*version` is the one that the file has, 0 where none can be told; with another one
 * than STATE_VERSION nothing else is read, and nothing is wrong.
 */
const char *meta_decode(const uint8_t *bytes, size_t len, uint32_t *version,
			struct state_meta *meta, const char **path, size_t *path_len);

/* The database file is as it was at the clean stop, which was at `lsn`. */
bool meta_is_untouched(const struct state_meta *meta, uint64_t lsn,
		       const struct stat *database);
/* It is so now. */
void meta_set_clean(struct state_meta *meta, uint64_t lsn, const struct stat *database);

#endif
