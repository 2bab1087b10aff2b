/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a file of an archive out of pages of a database file, for the figures:
 *
 *     ltx_write DATABASE OUT PAGE_SIZE FIRST_TXID LAST_TXID [PAGE]...
 *
 * All pages unless some are given, in ascending order. Prints how many bytes it has.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btree/db_header.h"
#include "src/archive/ltx_writer.h"
#include "src/base/file_io.h"

static enum status put_page(struct ltx_writer *writer, int db, uint32_t page_no,
			    uint32_t page_size, struct error *err)
{
	static uint8_t page[65536];

	if (page_no == db_lock_byte_page(page_size)) {
		return ST_OK;
	}
	if (!file_read_exactly(db, page, page_size, (off_t)(page_no - 1) * page_size)) {
		return error_set(err, ST_IO, "page %" PRIu32 " cannot be read",
				 page_no);
	}
	return ltx_writer_page(writer, page_no, page, err);
}

static enum status put_pages(struct ltx_writer *writer, int db,
			     const struct ltx_header *header, int argc, char **argv,
			     struct error *err)
{
	uint32_t count = argc > 6 ? (uint32_t)argc - 6 : header->page_count;
	enum status status = ST_OK;

	for (uint32_t i = 0; status == ST_OK && i < count; i++) {
		uint32_t page_no =
		    argc > 6 ? (uint32_t)strtoul(argv[6 + i], NULL, 10) : i + 1;

		status = put_page(writer, db, page_no, header->page_size, err);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct ltx_header header = {.flags = LTX_NO_CHECKSUM};
	struct ltx_writer *writer;
	struct error err;
	struct stat st;
	uint64_t size = 0;
	enum status status;
	int db = argc >= 6 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int out =
	    argc >= 6 ? open(argv[2], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;

	if (db < 0 || out < 0 || fstat(db, &st) != 0) {
		(void)fprintf(stderr, "ltx_write: DATABASE OUT PAGE_SIZE MIN MAX\n");
		return 1;
	}
	header.page_size = (uint32_t)strtoul(argv[3], NULL, 10);
	header.page_count = (uint32_t)((uint64_t)st.st_size / header.page_size);
	header.min_txid = strtoull(argv[4], NULL, 10);
	header.max_txid = strtoull(argv[5], NULL, 10);
	status = ltx_writer_open(out, argv[2], &header, &writer, &err);
	if (status == ST_OK) {
		status = put_pages(writer, db, &header, argc, argv, &err);
		if (status == ST_OK) {
			status = ltx_writer_finish(writer, &size, &err);
		}
		ltx_writer_close(writer);
	}
	if (status != ST_OK) {
		(void)fprintf(stderr, "ltx_write: %s\n", err.text);
		return 1;
	}
	(void)printf("%" PRIu64 "\n", size);
	return 0;
}
