/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/capture/database_wait.h -- wait until an application has made its database: there
 * is a file, with something in it, in WAL mode.
 *
 * The file is only looked at. What is no database is nobody's to wait for: opening it
 * says what is wrong.
 *
 * THREADS  One that has nothing of this process open on the file.
 */
#ifndef DATABASE_WAIT_H
#define DATABASE_WAIT_H

#include "src/base/status.h"

/* What it lacks, behind its name: "is empty"; NULL: it can be opened, or opening it
 * says why not. */
const char *database_lacks(const char *path);

/* ST_STOPPED: a stop came first. Says once what is waited for. */
enum status database_wait(const char *path, struct error *err) MUST_CHECK;

#endif
