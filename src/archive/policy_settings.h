/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/archive/policy_settings.h -- the properties archive.compaction.levels,
 * archive.snapshot.interval, archive.retention and archive.l0.retention.
 *
 * A duration is a number and s, m, h, d or w: "30s", "7d".
 *
 * OWNERSHIP  All texts belong to the struct config that it is a part of. NULL: not
 *            given, the default holds.
 * THREADS    No shared state.
 * ERRORS     ST_CONFIG names the property and says what it must be.
 */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include <stdint.h>

#include "src/base/status.h"

struct policy;

struct policy_settings {
	char *levels;       /* "30s, 5m, 1h": of level 1 and up; "none" */
	char *snapshot;     /* "24h"; "none" */
	char *retention;    /* "7d"; "forever" */
	char *l0_retention; /* "24h"; "forever" */
};

/* One duration; 0: it is none, or not more than nothing. */
int64_t policy_duration_ns(const char *text);

/* What they mean. */
enum status policy_settings_read(const struct policy_settings *settings,
				 struct policy *policy, struct error *err) MUST_CHECK;

/* Can they be read? */
enum status policy_settings_check(const struct policy_settings *settings,
				  struct error *err) MUST_CHECK;

#endif
