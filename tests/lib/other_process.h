/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/other_process.h -- another process that has a file open, or looks at it.
 *
 * Locks are a process's, so who else has a database open can only be another one: a
 * fork of the test program, made while that has no connection of SQLite open. Whatever
 * fails here fails the test.
 */
#ifndef TESTS_LIB_OTHER_PROCESS_H
#define TESTS_LIB_OTHER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct other_process {
	pid_t pid;
	int to;
	int from;
};

/* Start one that calls `play` and stays as it is then, until other_end. `play` returns
 * whether all went well. */
struct other_process other_start(bool (*play)(const char *path), const char *path);
void other_end(struct other_process *other);

/* Whether `look` is true in another process, which ends. */
bool other_sees(bool (*look)(const char *path), const char *path);

/* For use in `play` and `look`. Descriptors stay open. */
int other_open(const char *path, const char *suffix);
bool other_lock(int fd, short type, off_t at, off_t len);
/* The kind of lock that somebody else has there; F_UNLCK: none. */
short other_lock_type(int fd, off_t at, off_t len);
/* As user 65534, with root's group or without any: false without root. */
bool other_become_nobody(gid_t group);

/* This process may open no more files; until other_allow_files. */
void other_forbid_files(void);
void other_allow_files(void);

#endif
