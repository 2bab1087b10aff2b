/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/ltx_file.h"

#include <assert.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/crc64.h"
#include "src/base/file_io.h"

#define PAGE_BYTES 65536

/* ---- a file ---- */

static void add_u32(struct buffer *b, uint32_t v)
{
	uint8_t bytes[4];

	put_u32be(bytes, v);
	buffer_add(b, bytes, sizeof bytes);
}

static void add_u64(struct buffer *b, uint64_t v)
{
	add_u32(b, (uint32_t)(v >> 32));
	add_u32(b, (uint32_t)v);
}

static void add_leb128(struct buffer *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7) {
		buffer_add_char(b, (char)(v | 0x80));
	}
	buffer_add_char(b, (char)v);
}

static void add_header(struct buffer *b, const struct ltx_spec *s)
{
	buffer_add(b, "LTX1", 4);
	add_u32(b, s->has_checksums ? 0 : LTX_NO_CHECKSUM);
	add_u32(b, s->page_size);
	add_u32(b, s->page_count);
	add_u64(b, s->min_txid);
	add_u64(b, s->max_txid);
	add_u64(b, (uint64_t)(s->time_ns / 1000000));
	add_u64(b, s->has_checksums && s->min_txid > 1 ? LTX_CHECKSUM_BIT | 77 : 0);
	add_u64(b, 0);
	add_u64(b, s->wal_size);
	add_u64(b, 0);
	add_u64(b, s->node);
	while (b->len % LTX_HEADER_BYTES != 0) {
		buffer_add_char(b, 0);
	}
}

/* Of the spec the page `i`. Returns the checksum so far. */
static uint64_t add_page(struct buffer *b, const struct ltx_spec *s, size_t i,
			 uint64_t crc)
{
	static char packed[2 * PAGE_BYTES];
	static uint8_t page[PAGE_BYTES];
	LZ4F_preferences_t preferences = {0};
	size_t start = b->len;
	size_t len;

	memset(page, s->pages[i].fill, s->page_size);
	if (s->images && s->images[i]) {
		memcpy(page, s->images[i], s->page_size);
	}
	add_u32(b, s->pages[i].page_no);
	buffer_add_char(b, 0);
	buffer_add_char(b, s->has_frames ? 0 : (char)LTX_BLOCK);
	preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
	len = s->has_frames
		  ? LZ4F_compressFrame(packed, sizeof packed, page, s->page_size,
				       &preferences)
		  : (size_t)LZ4_compress_default((char *)page, packed,
						 (int)s->page_size, sizeof packed);
	assert(len > 0 && len < sizeof packed);
	if (!s->has_frames) {
		add_u32(b, (uint32_t)len);
	}
	crc = crc64_add(crc, b->bytes + start, b->len - start);
	buffer_add(b, packed, len);
	return crc64_add(crc, page, s->page_size);
}

void ltx_file_make(struct ltx_file *f, const struct ltx_spec *spec)
{
	struct buffer index;
	uint64_t crc;
	size_t count = 0;

	*f = (struct ltx_file){.spec = *spec};
	buffer_init(&f->bytes);
	buffer_init(&index);
	add_header(&f->bytes, spec);
	crc = crc64_add(0, f->bytes.bytes, f->bytes.len);
	for (const struct ltx_fill *p = spec->pages; p && p->page_no; p++) {
		size_t start = f->bytes.len;

		if (count < sizeof f->frames / sizeof *f->frames) {
			f->frames[count++] = start;
		}
		crc = add_page(&f->bytes, spec, (size_t)(p - spec->pages), crc);
		add_leb128(&index, p->page_no);
		add_leb128(&index, start);
		add_leb128(&index, f->bytes.len - start);
	}
	f->end = f->bytes.len;
	buffer_add(&f->bytes, "\0\0\0\0\0", 6);
	f->index = f->bytes.len;
	add_leb128(&index, 0);
	buffer_add_buffer(&f->bytes, &index);
	add_u64(&f->bytes, index.len);
	add_u64(&f->bytes, !spec->has_checksums ? 0
			   : spec->checksum     ? spec->checksum
						: LTX_CHECKSUM_BIT | 78);
	crc = crc64_add(crc, f->bytes.bytes + f->end, f->bytes.len - f->end);
	add_u64(&f->bytes, crc | LTX_CHECKSUM_BIT);
	assert(buffer_ok(&f->bytes));
	buffer_clear(&index);
}

void ltx_file_clear(struct ltx_file *f)
{
	buffer_clear(&f->bytes);
}

uint8_t *ltx_file_at(struct ltx_file *f, size_t offset)
{
	assert(offset < f->bytes.len);
	return (uint8_t *)f->bytes.bytes + offset;
}

void ltx_file_sign(struct ltx_file *f)
{
	static uint8_t page[PAGE_BYTES];
	size_t head = LTX_HEAD_BYTES + (f->spec.has_frames ? 0 : 4);
	uint64_t crc = crc64_add(0, f->bytes.bytes, LTX_HEADER_BYTES);
	size_t behind = f->bytes.len - 8;

	for (size_t i = 0; f->spec.pages && f->spec.pages[i].page_no; i++) {
		memset(page, f->spec.pages[i].fill, f->spec.page_size);
		crc = crc64_add(crc, f->bytes.bytes + f->frames[i], head);
		crc = crc64_add(crc, page, f->spec.page_size);
	}
	crc = crc64_add(crc, f->bytes.bytes + f->end, behind - f->end);
	put_u32be(ltx_file_at(f, behind), (uint32_t)((crc | LTX_CHECKSUM_BIT) >> 32));
	put_u32be(ltx_file_at(f, behind + 4), (uint32_t)crc);
}

/* ---- a storage ---- */

struct memory_file {
	struct archive_file file;
	char *bytes;
};

struct memory_storage {
	struct storage base;
	struct memory_file files[1024];
	size_t count;
	size_t opened;
};

struct memory_opened {
	struct storage_file base;
	const char *bytes;
};

static enum status list_level(struct storage *storage, unsigned level,
			      struct archive_list *list, struct error *err)
{
	struct memory_storage *m = (struct memory_storage *)(void *)storage;
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < m->count; i++) {
		if (m->files[i].file.level == level) {
			status = archive_list_add(list, &m->files[i].file, err);
		}
	}
	return status;
}

static enum status open_file(struct storage *storage, const struct archive_file *file,
			     struct storage_file **out, struct error *err)
{
	struct memory_storage *m = (struct memory_storage *)(void *)storage;

	for (size_t i = 0; i < m->count; i++) {
		const struct archive_file *f = &m->files[i].file;
		struct memory_opened *opened;

		if (f->level != file->level || f->min_txid != file->min_txid ||
		    f->max_txid != file->max_txid) {
			continue;
		}
		opened = calloc(1, sizeof *opened);
		assert(opened);
		opened->base.storage = storage;
		opened->base.size = f->size;
		(void)snprintf(opened->base.name, sizeof opened->base.name, "memory");
		opened->bytes = m->files[i].bytes;
		m->opened++;
		*out = &opened->base;
		return ST_OK;
	}
	return error_set(err, ST_LOST, "no such file");
}

static enum status read_file(struct storage_file *file, void *bytes, size_t len,
			     uint64_t offset, size_t *got, struct error *err)
{
	const struct memory_opened *opened = (struct memory_opened *)(void *)file;
	uint64_t left = offset < file->size ? file->size - offset : 0;

	(void)err;
	*got = len < left ? len : (size_t)left;
	if (*got > 0) {
		memcpy(bytes, opened->bytes + offset, *got);
	}
	return ST_OK;
}

static void close_file(struct storage_file *file)
{
	((struct memory_storage *)(void *)file->storage)->opened--;
	free(file);
}

static void close_storage(struct storage *storage)
{
	struct memory_storage *m = (struct memory_storage *)(void *)storage;

	assert(m->opened == 0);
	for (size_t i = 0; i < m->count; i++) {
		free(m->files[i].bytes);
	}
	free(m);
}

static enum status put_file(struct storage *storage, const struct archive_file *file,
			    int fd, struct error *err)
{
	struct memory_storage *m = (struct memory_storage *)(void *)storage;
	struct memory_file *f = &m->files[m->count++];

	(void)err;
	assert(m->count <= sizeof m->files / sizeof *m->files);
	f->file = *file;
	f->bytes = malloc(file->size);
	assert(f->bytes && file_read_exactly(fd, f->bytes, file->size, 0));
	return ST_OK;
}

static enum status remove_file(struct storage *storage, const struct archive_file *file,
			       struct error *err)
{
	struct memory_storage *m = (struct memory_storage *)(void *)storage;

	(void)err;
	for (size_t i = 0; i < m->count; i++) {
		if (archive_file_is(&m->files[i].file, file)) {
			free(m->files[i].bytes);
			m->files[i] = m->files[--m->count];
			return ST_OK;
		}
	}
	return ST_OK;
}

struct memory_storage *memory_storage_open(void)
{
	static const struct storage_calls calls = {
	    .list = list_level,
	    .open = open_file,
	    .read = read_file,
	    .close_file = close_file,
	    .close = close_storage,
	    .put = put_file,
	    .remove = remove_file,
	};
	struct memory_storage *m = calloc(1, sizeof *m);

	assert(m);
	m->base.calls = &calls;
	return m;
}

struct storage *memory_storage_base(struct memory_storage *m)
{
	return &m->base;
}

void memory_storage_add(struct memory_storage *m, const struct ltx_spec *spec,
			const void *bytes, size_t len)
{
	struct memory_file *f = &m->files[m->count++];

	assert(m->count <= sizeof m->files / sizeof *m->files);
	f->file = (struct archive_file){.level = spec->level,
					.min_txid = spec->min_txid,
					.max_txid = spec->max_txid,
					.time_ns = spec->time_ns,
					.size = len};
	/* As long as it is, so that a sanitizer sees what is read past it. */
	f->bytes = malloc(len > 0 ? len : 1);
	assert(f->bytes);
	if (len > 0) {
		memcpy(f->bytes, bytes, len);
	}
}

void memory_storage_make(struct memory_storage *m, const struct ltx_spec *spec)
{
	struct ltx_file file;

	ltx_file_make(&file, spec);
	memory_storage_add(m, spec, file.bytes.bytes, file.bytes.len);
	ltx_file_clear(&file);
}

size_t memory_storage_opened(const struct memory_storage *m)
{
	return m->opened;
}
