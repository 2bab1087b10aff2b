/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/topic_pattern.h -- a regular expression for whole topics and what replaces
 * them, as Kafka Connect's routers have them.
 *
 * The expression is PCRE2, and case counts. It has to match the whole topic; then the
 * first place where it is found, which may be shorter, is replaced, as Java's
 * Matcher.replaceFirst does.
 *
 * REPLACEMENT  $N and ${NAME} stand for what a group has matched, nothing if it took no
 *              part; more digits belong to N as long as there is such a group; \c is
 *              the character c.
 * OWNERSHIP    topic_pattern_open / topic_pattern_close (takes NULL).
 * THREADS      One thread at a time.
 * ERRORS       ST_CONFIG: names the property and the place; or a match was given up.
 *              ST_NOMEM.
 */
#ifndef SCHEMAS_TOPIC_PATTERN_H
#define SCHEMAS_TOPIC_PATTERN_H

#include <stdbool.h>

#include "src/base/buffer.h"
#include "src/base/message.h"
#include "src/base/status.h"

struct topic_pattern;

/* A property and its value. */
struct topic_pattern_text {
	const char *property, *value;
};

/* All is copied. */
enum status topic_pattern_open(struct topic_pattern_text regex,
			       struct topic_pattern_text replacement,
			       struct topic_pattern **out,
			       struct error *err) MUST_CHECK;
void topic_pattern_close(struct topic_pattern *pattern);

/* Does it match the whole topic? Then append what becomes of it to `out`. */
enum status topic_pattern_apply(const struct topic_pattern *pattern, struct span topic,
				bool *matches, struct buffer *out,
				struct error *err) MUST_CHECK;

#endif
