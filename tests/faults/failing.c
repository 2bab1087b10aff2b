/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/failing.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not the calls that are wrapped: these lines are no test's business. */
static void note(const char *path, const char *call, const char *file)
{
	FILE *out = fopen(path, "a");

	if (!out || fprintf(out, "%s %s\n", call, file) < 0 || fclose(out) != 0) {
		abort();
	}
}

static void count_call(const char *call, const char *file)
{
	const char *order = getenv("ROWTAIL_CALLS");
	char glob[PATH_MAX];
	char path[PATH_MAX];

	if (!order) {
		return;
	}
	if (sscanf(order, "%4095s %4095s", glob, path) != 2) {
		abort();
	}
	if (fnmatch(glob, file, FNM_PATHNAME | FNM_LEADING_DIR) == 0) {
		note(path, call, file);
	}
}

struct rule {
	char calls[64];
	char glob[PATH_MAX];
	long first;
	long count;
	char how[16];
};

static int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EINTR", EINTR},
		     {"EDQUOT", EDQUOT}, {"EACCES", EACCES}, {"EMFILE", EMFILE},
		     {"EROFS", EROFS},   {"ENFILE", ENFILE}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].name, name) == 0) {
			return known[i].number;
		}
	}
	abort();
}

static enum failing_how how_of(const char *name, long turn, int *sys_errno)
{
	if (strcmp(name, "SHORT") == 0) {
		return FAILING_SHORT;
	}
	if (strcmp(name, "HALF") == 0) {
		*sys_errno = ENOSPC;
		return turn % 2 == 0 ? FAILING_SHORT : FAILING_ERRNO;
	}
	if (strcmp(name, "KILL") == 0) {
		return FAILING_KILL;
	}
	*sys_errno = errno_of(name);
	return FAILING_ERRNO;
}

/* Is `name` one of a list with commas? */
static int is_in_list(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, len) == 0 &&
		    (at[len] == ',' || at[len] == '\0')) {
			return 1;
		}
	}
	return 0;
}

/* How many turns of the rule there were before this call; -1: it is not its turn. */
static long turn_of(const struct rule *rule, const char *call, const char *file)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static long calls;
	const char *flag = getenv("ROWTAIL_FAIL_WHILE");
	long number;

	if (!is_in_list(rule->calls, call) ||
	    fnmatch(rule->glob, file, FNM_PATHNAME) != 0 ||
	    (flag && access(flag, F_OK) != 0)) {
		return -1;
	}
	(void)pthread_mutex_lock(&lock);
	number = ++calls;
	(void)pthread_mutex_unlock(&lock);
	return number >= rule->first &&
		       (rule->count == 0 || number < rule->first + rule->count)
		   ? number - rule->first
		   : -1;
}

enum failing_how failing_ask(const char *call, const char *path, int *sys_errno)
{
	const char *order = getenv("ROWTAIL_FAIL");
	enum failing_how how = FAILING_NOT;
	int kept = errno;
	struct rule rule;
	long turn;

	count_call(call, path);
	if (order) {
		if (sscanf(order, "%63s %4095s %ld %ld %15s", rule.calls, rule.glob,
			   &rule.first, &rule.count, rule.how) != 5) {
			abort();
		}
		turn = turn_of(&rule, call, path);
		if (turn >= 0) {
			how = how_of(rule.how, turn, sys_errno);
		}
	}
	errno = kept;
	return how;
}
