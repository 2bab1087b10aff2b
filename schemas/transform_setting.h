/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/transform_setting.h -- what a single message transform was asked to do.
 *
 * OWNERSHIP  Texts are borrowed while it is opened.
 * THREADS    Constant.
 */
#ifndef SCHEMAS_TRANSFORM_SETTING_H
#define SCHEMAS_TRANSFORM_SETTING_H

#include <stdbool.h>

#include "schemas/encoder_settings.h"

enum transform_kind {
	TRANSFORM_FLAT,          /* ExtractNewRecordState */
	TRANSFORM_REGEX,         /* RegexRouter */
	TRANSFORM_LOGICAL_TABLE, /* ByLogicalTableRouter */
};

/* delete.tombstone.handling.mode */
enum flat_deletes {
	FLAT_DROP,
	FLAT_TOMBSTONE, /* delete-to-tombstone, too */
	FLAT_REWRITE,
	FLAT_REWRITE_WITH_TOMBSTONE,
};

/* One transform; texts may be NULL where nothing is said. */
struct transform_setting {
	enum transform_kind kind;
	const char *where; /* in front of an option's name in messages */

	/* Of TRANSFORM_FLAT: */
	enum flat_deletes deletes;
	const char *add_fields, *fields_prefix;
	const char *add_headers, *headers_prefix;

	/* Of the routers: */
	const char *regex, *replacement;

	/* Of TRANSFORM_LOGICAL_TABLE: */
	bool key_unique;
	const char *key_field;
	const char *key_regex, *key_replacement; /* NULL: the topic as it was */
	enum name_adjustment schema_names;
};

#endif
