/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/encoder_settings.h -- what shapes messages, as the properties have it.
 *
 * OWNERSHIP  Texts and rules are borrowed while the encoder is open.
 */
#ifndef SCHEMAS_ENCODER_SETTINGS_H
#define SCHEMAS_ENCODER_SETTINGS_H

#include <stdbool.h>

#include "schemas/column_type.h"
#include "schemas/key_header.h"

struct column_rules; /* schemas/column_rules.h */
struct transforms;   /* schemas/transforms.h */

/* BINARY_BYTES prints as BINARY_BASE64; its schema is bytes, that of the others string.
 */
enum binary_mode { BINARY_BYTES, BINARY_BASE64, BINARY_BASE64_URL_SAFE, BINARY_HEX };

/* event.converting.failure.handling.mode: what becomes of an event with a value that
 * does not fit the schema. */
enum conversion_failure { CONVERSION_WARN, CONVERSION_FAIL, CONVERSION_SKIP };

/* field.name.adjustment.mode, schema.name.adjustment.mode: schemas/name_adjustment.h */
enum name_adjustment { NAMES_AS_THEY_ARE, NAMES_AVRO, NAMES_AVRO_UNICODE };

/* skipped.operations, added up. */
enum { SKIP_CREATE = 1, SKIP_UPDATE = 2, SKIP_DELETE = 4 };

struct encoder_settings {
	/* Properties; src/config/property_table.c has each. */
	char *topic_prefix;      /* source.name */
	char *topic_delimiter;   /* "." */
	char *topic_transaction; /* "transaction" */
	char *heartbeat_prefix;  /* topic.heartbeat.prefix; NULL: no heartbeats */
	/* notification.sink.topic.name; NULL: the sink gets no notifications, which
	 * are not the encoder's (schemas/notification.h) */
	char *notification_topic;
	enum binary_mode binary_mode;
	bool schemas; /* schemas.enable; the next four count only with it */
	enum type_mapping type_mapping;
	enum decimal_mode decimal_mode;
	enum conversion_failure on_conversion_failure;
	enum name_adjustment schema_names;
	enum name_adjustment field_names;
	bool schema_changes;  /* include.schema.changes */
	bool context_headers; /* extended.headers.enabled: schemas/context_headers.h */
	bool tombstones_on_delete;
	bool transaction_metadata;
	unsigned skipped_operations;
	bool audit_full_rows; /* audit.row=full */
	bool audit_process;   /* transactions have `writers` */
	char *context_table;  /* transaction.context.table; NULL: none */
	bool context_alone;   /* transaction.context.alone=emit */

	/* What follows from others. */
	const char *version;                 /* source.version */
	const char *database_name;           /* source.db */
	const struct column_rules *rules;    /* NULL: none */
	const struct transforms *transforms; /* NULL: none */
	enum header_form header_form;        /* counts only with schemas */
	bool audit_lines; /* values are those of schemas/audit_line.h, and there is
			   * nothing beside them; never with schemas */
	bool wants_keys;  /* false: message keys, headers and tombstones are not made */
};

#endif
