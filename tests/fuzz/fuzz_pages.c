/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages on demand out of two files of an archive that anybody wrote; the input is that
 * of fuzz_ltx.c but for its third byte, which is not used. Where both files are sound
 * the pages are those that a merge of them writes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/archive/merge.h"
#include "src/archive/pages.h"
#include "src/base/bytes.h"
#include "tests/lib/ltx_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define CHOICES    3
#define MOST_BYTES (8u << 20) /* of a database that is read */

static const _Atomic int never;

/* The merge of the plan in a file; -1: it cannot be made. */
static int merged(struct storage *storage, const struct plan *plan)
{
	struct error err;
	struct merge m = {
	    .storage = storage, .plan = plan, .path = "out", .stop = &never};

	m.fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (m.fd < 0) {
		abort();
	}
	if (merge_run(&m, &err) != ST_OK) {
		(void)close(m.fd);
		return -1;
	}
	return m.fd;
}

static void read_pages(struct archive_pages *pages, int fd)
{
	static uint8_t page[65536];
	static uint8_t expected[65536];
	uint32_t page_size = archive_pages_size(pages);

	for (uint32_t n = 1; n <= archive_pages_count(pages); n++) {
		struct error err;
		enum status status = archive_pages_read(pages, n, page, &err);

		if (status != ST_OK && (status != ST_CORRUPT || fd >= 0)) {
			abort();
		}
		if (fd >= 0 && (pread(fd, expected, page_size,
				      (off_t)(n - 1) * page_size) != page_size ||
				memcmp(page, expected, page_size) != 0)) {
			abort();
		}
	}
}

static void run(struct storage *storage)
{
	const struct when when = {.kind = WHEN_LATEST};
	struct archive_list list = {0};
	struct archive_pages *pages;
	struct plan plan;
	struct error err;
	enum status status;

	if (storage_list(storage, &list, &err) != ST_OK ||
	    plan_init(&plan, &list, &when, &err) != ST_OK) {
		abort();
	}
	status = archive_pages_open(storage, &plan, &pages, &err);
	if (status != ST_OK && status != ST_CORRUPT) {
		abort();
	}
	if (status == ST_OK) {
		if ((uint64_t)archive_pages_size(pages) * archive_pages_count(pages) <=
		    MOST_BYTES) {
			int fd = merged(storage, &plan);

			read_pages(pages, fd);
			if (fd >= 0) {
				(void)close(fd);
			}
		}
		archive_pages_close(pages);
	}
	plan_clear(&plan);
	archive_list_clear(&list);
}

static void add(struct memory_storage *storage, uint64_t txid, const uint8_t *bytes,
		size_t len)
{
	const struct ltx_spec spec = {.min_txid = txid, .max_txid = txid};

	memory_storage_add(storage, &spec, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct memory_storage *storage;
	size_t first;

	if (len < CHOICES) {
		return -1;
	}
	storage = memory_storage_open();
	first = get_u16be(bytes);
	first = first < len - CHOICES ? first : len - CHOICES;
	add(storage, 1, bytes + CHOICES, first);
	if (len - CHOICES - first > 0) {
		add(storage, 2, bytes + CHOICES + first, len - CHOICES - first);
	}
	run(memory_storage_base(storage));
	storage_close(memory_storage_base(storage));
	return 0;
}
