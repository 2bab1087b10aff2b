/* SPDX-License-Identifier: Apache-2.0 */
#include "btree/db_header.h"

#include <string.h>

#include "src/base/bytes.h"

/* Byte offsets in the header. */
enum {
	AT_MAGIC = 0,
	AT_PAGE_SIZE = 16,
	AT_RESERVED = 20,
	AT_FRACTIONS = 21,
	AT_CHANGE_COUNTER = 24,
	AT_PAGE_COUNT = 28,
	AT_FREELIST_TRUNK = 32,
	AT_FREELIST_COUNT = 36,
	AT_SCHEMA_COOKIE = 40,
	AT_SCHEMA_FORMAT = 44,
	AT_LARGEST_ROOT = 52,
	AT_ENCODING = 56,
	AT_INCREMENTAL_VACUUM = 64,
};

#define PAGE_SIZE_MIN   512
#define PAGE_SIZE_MAX   65536
#define USABLE_SIZE_MIN 480

static const uint8_t magic[16] = "SQLite format 3"; /* with its closing NUL */
static const uint8_t fractions[3] = {64, 32, 32};

static enum status read_sizes(const uint8_t *bytes, struct db_header *h,
			      struct error *err)
{
	uint32_t size = get_u16be(bytes + AT_PAGE_SIZE);
	uint32_t reserved = bytes[AT_RESERVED];

	if (size == 1) { /* 65536 does not fit into the two bytes */
		size = PAGE_SIZE_MAX;
	}
	if (!db_page_size_is_valid(size)) {
		return error_set(err, ST_CORRUPT,
				 "database header: page size %u is not a power of two "
				 "from %d to %d",
				 size, PAGE_SIZE_MIN, PAGE_SIZE_MAX);
	}
	if (size - reserved < USABLE_SIZE_MIN) {
		return error_set(err, ST_CORRUPT,
				 "database header: %u reserved bytes leave less than "
				 "%d of a page of %u bytes",
				 reserved, USABLE_SIZE_MIN, size);
	}
	h->page_size = size;
	h->usable_size = size - reserved;
	return ST_OK;
}

static enum status read_encoding(const uint8_t *bytes, struct db_header *h,
				 struct error *err)
{
	uint32_t encoding = get_u32be(bytes + AT_ENCODING);

	if (encoding > TEXT_UTF16BE) {
		return error_set(err, ST_CORRUPT,
				 "database header: text encoding %u is none of 1, 2, 3",
				 encoding);
	}
	h->encoding = encoding == 0 ? TEXT_UTF8 : (enum text_encoding)encoding;
	return ST_OK;
}

enum status db_header_read(const uint8_t *bytes, struct db_header *out,
			   struct error *err)
{
	struct db_header h = {0};
	enum status status;

	if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0) {
		return error_set(err, ST_CORRUPT,
				 "database header: does not begin with \"%s\"; not a "
				 "SQLite 3 database, or an encrypted one",
				 (const char *)magic);
	}
	if (memcmp(bytes + AT_FRACTIONS, fractions, sizeof fractions) != 0) {
		return error_set(err, ST_CORRUPT,
				 "database header: payload fractions are %u, %u, %u "
				 "and not 64, 32, 32",
				 bytes[AT_FRACTIONS], bytes[AT_FRACTIONS + 1],
				 bytes[AT_FRACTIONS + 2]);
	}
	status = read_sizes(bytes, &h, err);
	if (status != ST_OK) {
		return status;
	}
	status = read_encoding(bytes, &h, err);
	if (status != ST_OK) {
		return status;
	}
	h.write_format = bytes[DB_WRITE_FORMAT];
	h.read_format = bytes[DB_READ_FORMAT];
	h.page_count = get_u32be(bytes + AT_PAGE_COUNT);
	h.change_counter = get_u32be(bytes + AT_CHANGE_COUNTER);
	h.freelist_trunk = get_u32be(bytes + AT_FREELIST_TRUNK);
	h.freelist_count = get_u32be(bytes + AT_FREELIST_COUNT);
	h.schema_cookie = get_u32be(bytes + AT_SCHEMA_COOKIE);
	h.schema_format = get_u32be(bytes + AT_SCHEMA_FORMAT);
	h.largest_root = get_u32be(bytes + AT_LARGEST_ROOT);
	h.incremental_vacuum = get_u32be(bytes + AT_INCREMENTAL_VACUUM);
	*out = h;
	return ST_OK;
}
