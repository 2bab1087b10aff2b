/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/temporary.h -- a history that ends with the run.
 *
 * What is captured lies in a temporary spool until it is decoded past; everything else
 * is read from the database file. Where the output cannot keep up, capture waits once
 * `max_bytes` lie in the spool, and commits stay in the WAL.
 */
#ifndef TEMPORARY_H
#define TEMPORARY_H

#include "src/history/history.h"

enum status temporary_open(uint64_t max_bytes, struct history **out,
			   struct error *err) MUST_CHECK;

#endif
