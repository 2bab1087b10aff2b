/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/signal_pattern.h -- one regular expression of a signal: of the whole name
 * of a table, case ignored (schemas/name_patterns.h); a comma in it is a comma.
 *
 * OWNERSHIP  The caller closes what is opened: name_patterns_close.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG: it is empty or does not compile; the text has `member`, what it
 *            is called in the signal. ST_NOMEM.
 */
#ifndef SIGNAL_PATTERN_H
#define SIGNAL_PATTERN_H

#include "schemas/name_patterns.h"
#include "src/base/status.h"

enum status signal_pattern_open(const char *member, const char *pattern,
				struct name_patterns **out,
				struct error *err) MUST_CHECK;
/* Can it be opened? */
enum status signal_pattern_check(const char *member, const char *pattern,
				 struct error *err) MUST_CHECK;

#endif
