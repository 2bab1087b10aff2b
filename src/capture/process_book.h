/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/process_book.h -- what /proc says of a process that has written.
 *
 * A number of a process means nothing once it has ended, as another one may get it. So
 * what is read under a number counts only if the process itself, of which we have a
 * pidfd, still lives after that. What is known is kept as long as it lives, and read
 * again when it runs another program or has become another user. One that had ended
 * before is its number and nothing else, but for one that lived moments ago: numbers
 * come again only after all others.
 *
 * FORMAT     proc(5). /proc/PID/cgroup: lines of "N:CONTROLLERS:/PATH"; systemd's units
 *            are the first part of the path that is no .slice. What comes behind it is
 *            for the unit's own user to choose, and is not looked at. The path of the
 *            program is any bytes.
 * OWNERSHIP  process_book_init / process_book_clear; the caller's storage.
 * THREADS    One thread at a time.
 */
#ifndef PROCESS_BOOK_H
#define PROCESS_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/writers.h"

#define PROCESSES_KNOWN 16 /* two descriptors each */

struct known_process {
	struct writer *writer;
	int pidfd;
	int dir_fd;       /* /proc/PID */
	uint32_t owner;   /* its effective user */
	int64_t alive_ns; /* it lived then */
	uint64_t used;    /* the last use, counted */
};

struct process_book {
	bool reads_proc; /* /proc has the numbers that we are told */
	bool is_wide;    /* there are so many numbers that they come again late */
	uint64_t uses;
	struct known_process list[PROCESSES_KNOWN];
	size_t total;
};

void process_book_init(struct process_book *book);
void process_book_clear(struct process_book *book);

/* The process with that number and `pidfd`, which is the book's to close; below 0: it
 * has ended. A reference of the caller's; NULL: no memory. */
struct writer *process_book_find(struct process_book *book, uint32_t pid, int pidfd);

/* The unit in the contents of a cgroup file, which are changed; NULL: none. */
const char *process_unit(char *cgroup);

#endif
