/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server that is no S3 server, or a hostile one, may answer. The first byte says
 * what the others are: a list, an error, the head of an answer, or text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/s3.h"
#include "src/storage/s3_fault.h"
#include "src/storage/s3_storage.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct storage *open_storage(const struct storage_settings *settings)
{
	struct storage *storage;
	struct error err;

	if (s3_open("bucket/a&b", settings, false, &storage, &err) != ST_OK) {
		abort();
	}
	return storage;
}

/* Files of an archive, or an error that says what is wrong. */
static void read_list(struct s3_storage *s, const char *bytes, size_t len)
{
	struct archive_list list = {0};
	struct error err = {0};
	enum status status = s3_list_page(s, bytes, len, &list, &err);

	if (status != ST_OK && (status != ST_IO || !err.text[0])) {
		abort();
	}
	for (size_t i = 0; i < list.count; i++) {
		const struct archive_file *f = &list.files[i];

		if (f->level >= ARCHIVE_LEVELS || f->min_txid == 0 ||
		    f->min_txid > f->max_txid || !f->time_is_rough) {
			abort();
		}
	}
	archive_list_clear(&list);
}

/* In one line, whatever it says. */
static void read_fault(struct s3_storage *s, const char *bytes, size_t len)
{
	struct s3_answer *a = s->answer;
	struct error err = {0};
	enum status status;

	*a = (struct s3_answer){.code = len > 0 ? 300 + (uint8_t)bytes[0] : 400};
	a->fault_len = len < sizeof a->fault - 1 ? len : sizeof a->fault - 1;
	memcpy(a->fault, bytes, a->fault_len);
	status = s3_fault_set(s->client, a, "s3://x", "s3:GetObject", &err);
	if ((status != ST_CONFIG && status != ST_IO) ||
	    strncmp(err.text, "s3://x", 6)) {
		abort();
	}
	(void)s3_fault_is_missing(a);
}

static void read_head(struct s3_answer *a, const char *bytes, size_t len)
{
	*a = (struct s3_answer){0};
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end ? (size_t)(end - bytes) + 1 : len;

		s3_answer_take_header(a, bytes, n);
		bytes += n;
		len -= n;
	}
	if (strlen(a->etag) >= sizeof a->etag || strlen(a->time) >= sizeof a->time ||
	    strlen(a->region) >= sizeof a->region) {
		abort();
	}
}

/* Tags lie in what is read, and what is unescaped is not longer. */
static void read_text(const char *bytes, size_t len)
{
	struct buffer b;
	struct s3_xml xml;
	struct s3_tag tag;

	buffer_init(&b);
	s3_xml_init(&xml, bytes, len);
	while (s3_xml_next(&xml, &tag)) {
		if (tag.name.bytes < bytes || tag.text.bytes < bytes ||
		    tag.name.bytes + tag.name.len > bytes + len ||
		    tag.text.bytes + tag.text.len > bytes + len) {
			abort();
		}
		buffer_reset(&b);
		(void)s3_add_unescaped(&b, tag.text);
		if (b.len > tag.text.len) {
			abort();
		}
	}
	buffer_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char endpoint[] = "http://127.0.0.1:1";
	char key[] = "key";
	const struct storage_settings settings = {.s3_endpoint = endpoint,
						  .s3_secrets = {key, key}};
	const char *text = (const char *)bytes + 1;
	struct storage *storage;
	struct s3_storage *s;

	if (len < 1) {
		return -1;
	}
	storage = open_storage(&settings);
	s = s3_storage_of(storage);
	switch (bytes[0]) {
	case 0:
		read_list(s, text, len - 1);
		break;
	case 1:
		read_fault(s, text, len - 1);
		break;
	case 2:
		read_head(s->answer, text, len - 1);
		break;
	default:
		read_text(text, len - 1);
	}
	storage_close(storage);
	return 0;
}
