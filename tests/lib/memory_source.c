/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/memory_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory_source {
	struct page_source pages; /* first: a pointer to it is one to the whole */
	struct db_header header;
	uint8_t *bytes; /* page_count * page_size; NULL when there are no pages */
	size_t pins;
	uint64_t gets;
};

static enum status source_get(struct page_source *pages, uint32_t page_no,
			      struct page_ref *ref, struct error *err)
{
	struct memory_source *source = (struct memory_source *)pages;
	uint8_t *copy;

	if (page_no == 0 || page_no > pages->page_count) {
		return error_set(err, ST_CORRUPT, "page %u is not one of 1 to %u",
				 page_no, pages->page_count);
	}
	copy = malloc(pages->page_size);
	if (!copy) {
		return error_set(err, ST_NOMEM, "out of memory for page %u", page_no);
	}
	memcpy(copy, source->bytes + (size_t)(page_no - 1) * pages->page_size,
	       pages->page_size);
	source->pins++;
	source->gets++;
	*ref = (struct page_ref){.bytes = copy, .pin = copy};
	return ST_OK;
}

static void source_put(struct page_source *pages, struct page_ref *ref)
{
	struct memory_source *source = (struct memory_source *)pages;

	if (source->pins == 0 || ref->pin != ref->bytes) {
		fprintf(stderr, "memory_source: a page was put that was not got\n");
		abort();
	}
	source->pins--;
	free(ref->pin);
}

enum status memory_source_from_pages(const uint8_t *bytes, size_t len,
				     uint32_t page_size, uint32_t usable_size,
				     struct memory_source **out, struct error *err)
{
	size_t count = len / page_size;
	struct memory_source *source = calloc(1, sizeof *source);

	if (!source || count > UINT32_MAX) {
		free(source);
		return error_set(err, ST_NOMEM, "out of memory for %zu pages", count);
	}
	source->pages = (struct page_source){
	    .get = source_get,
	    .put = source_put,
	    .page_count = (uint32_t)count,
	    .page_size = page_size,
	    .usable_size = usable_size,
	};
	if (count > 0) {
		source->bytes = malloc(count * page_size);
		if (!source->bytes) {
			free(source);
			return error_set(err, ST_NOMEM, "out of memory for %zu pages",
					 count);
		}
		memcpy(source->bytes, bytes, count * page_size);
	}
	*out = source;
	return ST_OK;
}

enum status memory_source_from_bytes(const uint8_t *bytes, size_t len,
				     struct memory_source **out, struct error *err)
{
	struct db_header header;
	enum status status;

	if (len < DB_HEADER_SIZE) {
		return error_set(err, ST_CORRUPT, "%zu bytes are no database", len);
	}
	status = db_header_read(bytes, &header, err);
	if (status != ST_OK) {
		return status;
	}
	if (len < header.page_size) {
		return error_set(err, ST_CORRUPT,
				 "%zu bytes are less than a page of %u", len,
				 header.page_size);
	}
	status = memory_source_from_pages(bytes, len, header.page_size,
					  header.usable_size, out, err);
	if (status == ST_OK) {
		(*out)->header = header;
	}
	return status;
}

/* The whole of `file`, for the caller to free. */
static enum status read_all(FILE *file, const char *path, uint8_t **bytes, size_t *len,
			    struct error *err)
{
	long size;

	*bytes = NULL;
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
	    fseek(file, 0, SEEK_SET) != 0) {
		return error_set_errno(err, errno, "%s", path);
	}
	*len = (size_t)size;
	*bytes = malloc(*len + 1);
	if (!*bytes) {
		return error_set(err, ST_NOMEM, "out of memory for %s", path);
	}
	if (fread(*bytes, 1, *len, file) != *len) {
		return error_set_errno(err, errno, "%s", path);
	}
	return ST_OK;
}

enum status memory_source_open(const char *path, struct memory_source **out,
			       struct error *err)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	size_t len = 0;
	enum status status;

	if (!file) {
		return error_set_errno(err, errno, "%s", path);
	}
	status = read_all(file, path, &bytes, &len, err);
	(void)fclose(file);
	if (status == ST_OK) {
		status = memory_source_from_bytes(bytes, len, out, err);
	}
	free(bytes);
	return status;
}

struct page_source *memory_source_pages(struct memory_source *source)
{
	return &source->pages;
}

const struct db_header *memory_source_header(const struct memory_source *source)
{
	return &source->header;
}

size_t memory_source_pins(const struct memory_source *source)
{
	return source->pins;
}

uint64_t memory_source_gets(const struct memory_source *source)
{
	return source->gets;
}

uint8_t *memory_source_edit(struct memory_source *source, uint32_t page_no)
{
	if (page_no == 0 || page_no > source->pages.page_count) {
		return NULL;
	}
	return source->bytes + (size_t)(page_no - 1) * source->pages.page_size;
}

void memory_source_close(struct memory_source *source)
{
	if (!source) {
		return;
	}
	if (source->pins != 0) {
		fprintf(stderr, "memory_source: %zu pages were not put\n",
			source->pins);
		abort();
	}
	free(source->bytes);
	free(source);
}
