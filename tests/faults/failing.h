/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/faults/failing.h -- which call on which file fails, and how.
 *
 *     ROWTAIL_FAIL="CALLS GLOB FIRST COUNT HOW"  one rule; a COUNT of 0 has no end
 *     ROWTAIL_FAIL_WHILE=PATH                    only while there is such a file
 *     ROWTAIL_CALLS="GLOB PATH"                  append each such call to PATH
 *
 * CALLS are some of those below, with commas. GLOB is matched with the whole path of
 * the file (* does not match a slash); that of ROWTAIL_CALLS also with a folder of it.
 * HOW is the name of an errno, SHORT (half of it is done and reported), HALF (SHORT and
 * ENOSPC in turn) or KILL (half of it is done, then kill -9).
 *
 * THREADS  Any.
 */
#ifndef FAULTS_FAILING_H
#define FAULTS_FAILING_H

enum failing_how {
	FAILING_NOT,
	FAILING_ERRNO,
	FAILING_SHORT,
	FAILING_KILL,
};

/* What happens to this call ("write", "read", "sync", "cut", "grow", "rename",
 * "remove", "open", "make" or "list"); `*sys_errno` is set for FAILING_ERRNO. errno is
 * kept. */
enum failing_how failing_ask(const char *call, const char *path, int *sys_errno);

#endif
