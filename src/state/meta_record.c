/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/meta_record.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "btree/db_header.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/fields.h"

static const uint8_t magic[8] = {'r', 'o', 'w', 't', 'a', 'i', 'l', 'M'};

/* Magic and version stand where they are in every version. */
#define META_MIN (sizeof magic + 4 + META_SUM_BYTES)

size_t meta_encode(const struct state_meta *meta, const char *database_path,
		   uint8_t *bytes)
{
	struct field_writer w = field_writer(bytes, META_MAX);
	size_t path_len = strlen(database_path);

	put_field(&w, magic, sizeof magic);
	put_field_u32(&w, STATE_VERSION);
	put_field_u32(&w, meta->page_size);
	put_field(&w, meta->uuid, STATE_UUID_BYTES);
	put_field_u64(&w, meta->epoch);
	put_field_u64(&w, (uint64_t)meta->begun_ns);
	put_field_u64(&w, meta->base_lsn);
	put_field_u64(&w, meta->base_chain);
	put_field_u32(&w, meta->base_pages);
	put_field(&w, meta->base_salt, sizeof meta->base_salt);
	put_field_u32(&w, meta->base_frame);
	put_field_u64(&w, meta->base_proof);
	put_field_u32(&w, meta->is_clean);
	put_field_u64(&w, meta->clean_lsn);
	put_field_u64(&w, meta->clean_device);
	put_field_u64(&w, meta->clean_inode);
	put_field_u64(&w, meta->clean_size);
	put_field_u64(&w, (uint64_t)meta->clean_mtime_ns);
	put_field_u64(&w, (uint64_t)meta->clean_ctime_ns);
	put_field_u32(&w, (uint32_t)path_len);
	put_field(&w, database_path, path_len);
	put_field_u64(&w, XXH3_64bits(bytes, (size_t)(w.at - bytes)));
	assert(!w.is_short);
	return (size_t)(w.at - bytes);
}

/* What comes behind the version; returns the length of the path. */
static uint32_t get_fields(struct field_reader *r, struct state_meta *meta)
{
	meta->page_size = get_field_u32(r);
	get_field(r, meta->uuid, STATE_UUID_BYTES);
	meta->epoch = get_field_u64(r);
	meta->begun_ns = (int64_t)get_field_u64(r);
	meta->base_lsn = get_field_u64(r);
	meta->base_chain = get_field_u64(r);
	meta->base_pages = get_field_u32(r);
	get_field(r, meta->base_salt, sizeof meta->base_salt);
	meta->base_frame = get_field_u32(r);
	meta->base_proof = get_field_u64(r);
	meta->is_clean = get_field_u32(r) != 0;
	meta->clean_lsn = get_field_u64(r);
	meta->clean_device = get_field_u64(r);
	meta->clean_inode = get_field_u64(r);
	meta->clean_size = get_field_u64(r);
	meta->clean_mtime_ns = (int64_t)get_field_u64(r);
	meta->clean_ctime_ns = (int64_t)get_field_u64(r);
	return get_field_u32(r);
}

const char *meta_decode(const uint8_t *bytes, size_t len, uint32_t *version,
			struct state_meta *meta, const char **path, size_t *path_len)
{
	struct field_reader r = field_reader(bytes, META_FIXED);
	size_t sum_at = len - META_SUM_BYTES;
	uint8_t found[sizeof magic];

	*version = 0;
	if (len < META_MIN || len > META_MAX) {
		return "length";
	}
	if (get_u64le(bytes + sum_at) != XXH3_64bits(bytes, sum_at)) {
		return "checksum";
	}
	get_field(&r, found, sizeof found);
	if (memcmp(found, magic, sizeof magic) != 0) {
		return "not a file of rowtail";
	}
	*version = get_field_u32(&r);
	if (*version != STATE_VERSION) {
		return NULL;
	}
	if (sum_at < META_FIXED) {
		return "length";
	}
	*path = (const char *)bytes + META_FIXED;
	*path_len = get_fields(&r, meta);
	if (*path_len != sum_at - META_FIXED) {
		return "length";
	}
	return db_page_size_is_valid(meta->page_size) ? NULL : "page size";
}

bool meta_is_untouched(const struct state_meta *meta, uint64_t lsn,
		       const struct stat *database)
{
	return meta->is_clean && meta->clean_lsn == lsn &&
	       meta->clean_device == database->st_dev &&
	       meta->clean_inode == database->st_ino &&
	       meta->clean_size == (uint64_t)database->st_size &&
	       meta->clean_mtime_ns == clock_ns_of(database->st_mtim) &&
	       meta->clean_ctime_ns == clock_ns_of(database->st_ctim);
}

void meta_set_clean(struct state_meta *meta, uint64_t lsn, const struct stat *database)
{
	meta->is_clean = true;
	meta->clean_lsn = lsn;
	meta->clean_device = database->st_dev;
	meta->clean_inode = database->st_ino;
	meta->clean_size = (uint64_t)database->st_size;
	meta->clean_mtime_ns = clock_ns_of(database->st_mtim);
	meta->clean_ctime_ns = clock_ns_of(database->st_ctim);
}
