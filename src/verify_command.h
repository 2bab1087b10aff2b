/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/verify_command.h -- rowtail verify: is what a state directory has the database?
 *
 * The state as of D (the shadow, over it the images of the journal) is compared with
 * the source at one position. Where the WAL goes on from D, pages that have a frame
 * after it are left out; where that cannot be proven, those that have a frame at all
 * and differ. Free pages that differ mean nothing. Every page of the shadow that the
 * journal does not replace must have its hash, every image its own.
 *
 * The directory is held against other processes meanwhile, and neither it nor the
 * database is changed.
 *
 * THREADS  One.
 * ERRORS   ST_DAMAGED: pages differ, or the directory is damaged (exit 1). ST_CONFIG:
 *          in use, of another database. ST_UNFIT, ST_IO, ST_NOMEM.
 */
#ifndef VERIFY_COMMAND_H
#define VERIFY_COMMAND_H

#include "src/config/config.h"

/* One line on stdout when all is right. */
enum status verify_command(const struct config *config, struct error *err) MUST_CHECK;

#endif
