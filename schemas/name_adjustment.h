/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/name_adjustment.h -- field.name.adjustment.mode, schema.name.adjustment.mode.
 *
 *     none           as it is
 *     avro           a character that Avro does not allow in names becomes '_'; a digit
 *                    at the beginning gets '_' in front
 *     avro_unicode   it becomes "_u" and the UTF-16 code unit in hexadecimal digits, at
 *                    least four where the unit is below 0x100; '_' itself, too
 *
 * Allowed are letters and '_', behind the first place also digits and, in names of
 * schemas only, '.'. A character above U+FFFF is two units. As Debezium's
 * SchemaNameAdjuster; what it wrote is among the unit tests.
 *
 * THREADS  No shared state.
 * ERRORS   Out of memory shows in buffer_ok.
 */
#ifndef SCHEMAS_NAME_ADJUSTMENT_H
#define SCHEMAS_NAME_ADJUSTMENT_H

#include <stdbool.h>

#include "schemas/encoder_settings.h"
#include "src/base/buffer.h"

/* Append `name` (UTF-8; broken sequences count as U+FFFD), adjusted. */
void name_adjustment_add(struct buffer *b, const char *name, enum name_adjustment mode,
			 bool is_field);

#endif
