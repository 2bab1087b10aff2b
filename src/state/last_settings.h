/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/last_settings.h -- the settings that shaped the messages of the last run,
 * kept in the state directory for the next one to show what differs.
 *
 *     DIR/settings    a line "rowtail settings 1 HASH", then the text of
 *                     src/config/shaping.h; HASH is its XXH3 in hexadecimal
 *
 * Replaced whole: DIR/settings.new is written and synced, renamed, the folder synced.
 * For people alone: which settings a position holds for is said by the hash in
 * `position`. A file that does not fit its own hash counts as none.
 *
 * THREADS  The decoding thread.
 */
#ifndef LAST_SETTINGS_H
#define LAST_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/buffer.h"
#include "src/base/status.h"

/* Append the text, and a NUL, to `text`; false: there is none, or it is damaged. */
bool last_settings_read(int dir_fd, struct buffer *text, uint64_t *hash) MUST_CHECK;

/* Durable when it returns. ST_IO; ST_NOMEM. */
enum status last_settings_write(int dir_fd, const char *text, size_t len,
				struct error *err) MUST_CHECK;

#endif
