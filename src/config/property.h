/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/property.h -- what is known of one property: an entry of the tables
 * (property_table.h, others_properties.h).
 *
 * THREADS  Constant.
 */
#ifndef PROPERTY_H
#define PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum property_kind {
	PROPERTY_BUILT,
	PROPERTY_ALIAS,     /* another name: of `alias_of` */
	PROPERTY_OPTION,    /* an option of the command line that shapes messages */
	PROPERTY_NOT_BUILT, /* `accepted` values are, nothing else */
	PROPERTY_IGNORED,   /* cannot matter here */
	PROPERTY_REFUSED,   /* would change messages; `accepted` values would not */
};

/* What a value is, and the type of its field. */
enum property_type {
	TAKES_NONE,       /* no field */
	TAKES_BOOL,       /* bool */
	TAKES_TEXT,       /* char *; an empty one is not given: NULL */
	TAKES_PATH,       /* char *, not empty */
	TAKES_SECRET,     /* char *; a value reference (config_provider.h), or from a
			   * file the value itself; never printed */
	TAKES_TOPIC_PART, /* char *, of the characters of topics, not empty */
	TAKES_BYTES,      /* uint64_t; 0 is no limit: UINT64_MAX */
	TAKES_NUMBER,     /* int, from `least` to `most` */
	TAKES_DURATION,   /* int64_t, ns: a number and s, m, h, d or w */
	TAKES_CHOICE,     /* an enum, or bool: one of `choices` */
	TAKES_SINK,       /* const struct sink_kind *: one of sinks/sink_table.h */
	TAKES_SET,        /* unsigned: some of `choices` added up, or the word "none" */
	TAKES_FAMILY,     /* many properties with one beginning: see `family` */
};

enum property_family {
	FAMILY_NONE,
	FAMILY_COLUMNS,    /* src/config/column_options.h */
	FAMILY_KAFKA,      /* src/config/kafka_options.h */
	FAMILY_OVERRIDES,  /* snapshot.select.statement.overrides.TABLE */
	FAMILY_TRANSFORMS, /* src/config/transform_options.h */
};

struct property_choice {
	const char *name;
	int value;
	const char *refused; /* NULL, or why it cannot be had */
};

struct property {
	const char *name; /* one that ends in '*' stands for all with that beginning */
	enum property_kind kind;
	enum property_type type;
	enum property_family family;
	size_t field, field_size;              /* in struct config; size 0: none */
	const struct property_choice *choices; /* the last one has no name */
	int least, most;
	const char *unit; /* of numbers: "bytes (0: no limit)" */
	const char
	    *fallback; /* the value where none is set; NULL: none, or it depends */
	const char *alias_of; /* PROPERTY_ALIAS: the property's name */
	const char *accepted; /* values that mean nothing else than what is done, '|'
			       * between; NULL: none */
	bool shapes; /* the messages of a transaction, their number or content */

	/* For people; `x` in backquotes is a word to be typed. */
	const char *shown_name;     /* NULL: the name */
	const char *shown_fallback; /* NULL: the fallback */
	const char *text;           /* one line; NULL: not listed */
	const char *more; /* NULL, or sentences for docs/options.md and the man page */
	const char *page; /* NULL, or where there is more: "docs/kafka.md#topics" */
	const char *advice; /* of what is refused: what to use instead */
};

#endif
