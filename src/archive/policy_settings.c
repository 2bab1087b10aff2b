/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/policy_settings.h"

#include <stdbool.h>
#include <string.h>

#include "src/archive/policy.h"
#include "src/base/clock.h"

#define MOST_NS (100LL * 365 * 24 * 3600 * NS_PER_S)

/* One duration, and blanks around it; `*text` is moved behind it. False: it is none. */
static bool read_duration(const char **text, int64_t *ns)
{
	static const char units[] = "smhdw";
	static const int64_t seconds[] = {1, 60, 3600, 24 * 3600, 7 * 24 * 3600};
	const char *p = *text + strspn(*text, " ");
	const char *unit;
	int64_t count = 0;

	if (!(*p >= '0' && *p <= '9')) {
		return false;
	}
	for (; *p >= '0' && *p <= '9'; p++) {
		count = count < MOST_NS / NS_PER_S ? count * 10 + (*p - '0') : count;
	}
	unit = *p ? strchr(units, *p) : NULL;
	if (!unit || count == 0 || count > MOST_NS / NS_PER_S / seconds[unit - units]) {
		return false;
	}
	*ns = count * seconds[unit - units] * NS_PER_S;
	p++;
	*text = p + strspn(p, " ");
	return true;
}

int64_t policy_duration_ns(const char *text)
{
	int64_t ns;

	return read_duration(&text, &ns) && !*text ? ns : 0;
}

/* A property that is one duration, or the word `never`, which is 0. */
static enum status read_one(const char *name, const char *text, const char *never,
			    int64_t *ns, struct error *err)
{
	const char *rest = text;

	if (!text) {
		return ST_OK;
	}
	if (strcmp(text, never) == 0) {
		*ns = 0;
		return ST_OK;
	}
	if (!read_duration(&rest, ns) || *rest) {
		return error_set(err, ST_CONFIG,
				 "%s=%s: must be a number and s, m, h, d or w, like "
				 "24h, or %s",
				 name, text, never);
	}
	return ST_OK;
}

static enum status bad_levels(const char *text, const char *what, struct error *err)
{
	return error_set(err, ST_CONFIG,
			 "archive.compaction.levels=%s: %s; like 30s, 5m, 1h, or none",
			 text, what);
}

static enum status read_levels(const char *text, struct policy *policy,
			       struct error *err)
{
	const char *rest = text;
	int64_t last_ns = 0;

	if (!text) {
		return ST_OK;
	}
	policy->level_count = 0;
	if (strcmp(text, "none") == 0) {
		return ST_OK;
	}
	for (;;) {
		int64_t ns;

		if (!read_duration(&rest, &ns) || (*rest && *rest != ',')) {
			return bad_levels(text,
					  "must be numbers with s, m, h, d or w, with "
					  "commas between them",
					  err);
		}
		if (policy->level_count == POLICY_LEVELS) {
			return bad_levels(text, "has more than 8 levels", err);
		}
		if (ns <= last_ns || (last_ns > 0 && ns % last_ns != 0)) {
			return bad_levels(
			    text, "each must be a multiple of the one before", err);
		}
		last_ns = ns;
		policy->level_ns[policy->level_count++] = ns;
		if (!*rest) {
			return ST_OK;
		}
		rest++;
	}
}

enum status policy_settings_read(const struct policy_settings *settings,
				 struct policy *policy, struct error *err)
{
	enum status status;

	*policy = policy_default();
	status = read_levels(settings->levels, policy, err);
	if (status == ST_OK) {
		status = read_one("archive.snapshot.interval", settings->snapshot,
				  "none", &policy->snapshot_ns, err);
	}
	if (status == ST_OK) {
		status = read_one("archive.retention", settings->retention, "forever",
				  &policy->retention_ns, err);
	}
	if (status == ST_OK) {
		status = read_one("archive.l0.retention", settings->l0_retention,
				  "forever", &policy->l0_retention_ns, err);
	}
	return status;
}

enum status policy_settings_check(const struct policy_settings *settings,
				  struct error *err)
{
	struct policy policy;

	return policy_settings_read(settings, &policy, err);
}
