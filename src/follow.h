/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/follow.h -- capture, decode, encode, deliver: the main loop.
 *
 *     open ─► [snapshot] ─► follow ─► drain ─► closed
 *
 * THREADS  Runs on the calling thread; capture has one of its own.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "src/config/config.h"

/*
 * Follow the database as `config` says until a stop, the reader's leaving, the end of
 * --once, or an error. ST_OK: done; exit 0. Otherwise the error says why.
 */
enum status follow_run(const struct config *config, struct error *err) MUST_CHECK;

#endif
