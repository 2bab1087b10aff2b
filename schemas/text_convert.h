/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/text_convert.h -- TEXT from one of SQLite's encodings into another.
 *
 * Only where a database has got another encoding, which SQLite itself never gives to
 * one that has tables: the rows of before are then compared in the encoding of after.
 * What is no valid text becomes U+FFFD, as SQLite has it.
 *
 * THREADS  No shared state.
 */
#ifndef SCHEMAS_TEXT_CONVERT_H
#define SCHEMAS_TEXT_CONVERT_H

#include <stdint.h>

#include "btree/db_header.h"
#include "btree/value.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

/* Convert the TEXT among `values`; its bytes are then those of `to`, which is emptied
 * first. False: no memory. */
bool text_convert(struct value *values, uint32_t count, enum text_encoding from,
		  enum text_encoding into, struct buffer *to) MUST_CHECK;

#endif
