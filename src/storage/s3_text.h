/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/storage/s3_text.h -- how S3 writes things: percent-encoded names, and the little
 * XML that its answers are.
 *
 * Of XML what S3 uses is read: elements one after the other, their text, references to
 * characters. What a server sends is not trusted: nothing is followed or included,
 * depth and length cost nothing, and what makes no sense ends the reading.
 *
 * THREADS  No shared state.
 */
#ifndef S3_TEXT_H
#define S3_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buffer.h"

/* All but letters, digits and -._~ becomes %XX; with `is_path` '/' stays, too. */
void s3_add_encoded(struct buffer *b, const char *bytes, size_t len, bool is_path);

struct s3_span {
	const char *bytes; /* borrowed from what is read; NULL: nothing was found */
	size_t len;
};

/* The beginning or the end of an element. */
struct s3_tag {
	struct s3_span name; /* without a prefix for a namespace */
	bool is_end;         /* </name>, or one more time of <name/> */
	struct s3_span text; /* up to the next tag, references as they stand */
};

struct s3_xml {
	const char *at;
	const char *end;
	struct s3_span empty; /* of <name/>, whose end is still to be told */
};

void s3_xml_init(struct s3_xml *xml, const void *bytes, size_t len);

/* The next tag, passing over comments and declarations; false: no more, or none that
 * is complete. */
bool s3_xml_next(struct s3_xml *xml, struct s3_tag *tag);

bool s3_span_is(struct s3_span span, const char *text);

/* The text of the first element of that name in `xml`, wherever it stands. */
struct s3_span s3_xml_find(struct s3_span xml, const char *name);

/* A text with its references replaced by UTF-8; false: one makes no sense. */
bool s3_add_unescaped(struct buffer *b, struct s3_span text);

/* All of the text, in decimal. */
bool s3_span_number(struct s3_span text, uint64_t *n);

#endif
