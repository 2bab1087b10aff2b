/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/file_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DIGITS 16u /* of a TXID */

static bool read_txid(const char *digits, uint64_t *txid)
{
	*txid = 0;
	for (unsigned i = 0; i < DIGITS; i++) {
		char c = digits[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
			return false;
		}
		*txid = *txid << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return true;
}

bool file_name_read(const char *name, struct archive_file *file)
{
	return strlen(name) == FILE_NAME_BYTES - 1 && name[DIGITS] == '-' &&
	       strcmp(name + 2 * DIGITS + 1, ".ltx") == 0 &&
	       read_txid(name, &file->min_txid) &&
	       read_txid(name + DIGITS + 1, &file->max_txid) && file->min_txid > 0 &&
	       file->min_txid <= file->max_txid;
}

void file_name_write(const struct archive_file *file, char name[FILE_NAME_BYTES])
{
	(void)snprintf(name, FILE_NAME_BYTES, "%016" PRIx64 "-%016" PRIx64 ".ltx",
		       file->min_txid, file->max_txid);
}

struct archive_name archive_name(const struct archive_file *file)
{
	struct archive_name name;
	char text[FILE_NAME_BYTES];

	file_name_write(file, text);
	(void)snprintf(name.text, sizeof name.text, "%u/%s", file->level, text);
	return name;
}
