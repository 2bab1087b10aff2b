/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/writers.h -- the processes that may have made a transaction, as the kernel
 * names them.
 *
 * Each of them is one that can have, and the one that did is among them. With one alone
 * nobody else can have.
 *
 * OWNERSHIP  Counted references to what never changes: *_hold adds one, *_drop takes
 *            one away and frees with the last. Both take NULL.
 * THREADS    Any; references of one and the same in several threads, too.
 */
#ifndef BASE_WRITERS_H
#define BASE_WRITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITERS_MOST 16         /* of one transaction; with more nobody knows */
#define WRITER_NO_ID UINT32_MAX /* of a user: not known, or the kernel has none */

struct writer {
	atomic_uint refs;
	uint32_t pid;      /* 0: one, or several, of another PID namespace */
	uint32_t uid;      /* real; WRITER_NO_ID */
	uint32_t loginuid; /* who logged in, whatever he became since; WRITER_NO_ID */
	const char *exe;   /* the program's path; NULL: not known */
	const char *unit;  /* systemd's unit; NULL: of none, or not known */
};

struct writers {
	atomic_uint refs;
	size_t total; /* at least 1 */
	struct writer *list[];
};

/* A copy of `from`, its texts too, with one reference; NULL: no memory. */
struct writer *writer_new(const struct writer *from);
struct writer *writer_hold(struct writer *writer);
void writer_drop(struct writer *writer);
/* What is known of them is the same. */
bool writer_same(const struct writer *a, const struct writer *b);

/* With one reference, and one of each in the list; NULL: no memory. */
struct writers *writers_new(struct writer *const *list, size_t total);
struct writers *writers_hold(struct writers *writers);
void writers_drop(struct writers *writers);

#endif
