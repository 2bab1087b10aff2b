/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_sign.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define HASH_BYTES 32u
#define DAY_TEXT   8u /* of a time: 20130524 */

static void add_hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	text[2 * len] = '\0';
}

void s3_hash(const void *bytes, size_t len, char text[S3_HASH_TEXT])
{
	uint8_t hash[HASH_BYTES];

	(void)SHA256(bytes, len, hash);
	add_hex(hash, sizeof hash, text);
}

bool s3_hash_file(int fd, uint64_t offset, uint64_t len, char text[S3_HASH_TEXT])
{
	uint8_t bytes[65536];
	uint8_t hash[HASH_BYTES];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

	if (!ok) {
		errno = ENOMEM;
	}
	while (ok && len > 0) {
		size_t n = len < sizeof bytes ? (size_t)len : sizeof bytes;

		ok = file_read_exactly(fd, bytes, n, (off_t)offset) &&
		     EVP_DigestUpdate(context, bytes, n) == 1;
		offset += n;
		len -= n;
	}
	ok = ok && EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (ok) {
		add_hex(hash, sizeof hash, text);
	}
	return ok;
}

void s3_time_text(int64_t wall_ns, char text[S3_TIME_TEXT])
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, S3_TIME_TEXT, "%Y%m%dT%H%M%SZ", &tm);
}

/* ---- the canonical request ---- */

/* Without the blanks around it, and of several in it one. */
static void add_value(struct buffer *b, const char *value)
{
	size_t len;

	value += strspn(value, " ");
	for (len = strlen(value); len > 0 && value[len - 1] == ' ';) {
		len--;
	}
	for (size_t i = 0; i < len; i++) {
		if (value[i] != ' ' || value[i + 1] != ' ') {
			buffer_add_char(b, value[i]);
		}
	}
}

static void add_names(struct buffer *b, const struct s3_to_sign *what)
{
	for (size_t i = 0; i < what->header_count; i++) {
		buffer_add_str(b, i > 0 ? ";" : "");
		buffer_add_str(b, what->headers[i].name);
	}
}

static void add_request(struct buffer *b, const struct s3_to_sign *what)
{
	buffer_add_str(b, what->method);
	buffer_add_char(b, '\n');
	buffer_add_str(b, what->path);
	buffer_add_char(b, '\n');
	buffer_add_str(b, what->query);
	buffer_add_char(b, '\n');
	for (size_t i = 0; i < what->header_count; i++) {
		buffer_add_str(b, what->headers[i].name);
		buffer_add_char(b, ':');
		add_value(b, what->headers[i].value);
		buffer_add_char(b, '\n');
	}
	buffer_add_char(b, '\n');
	add_names(b, what);
	buffer_add_char(b, '\n');
	buffer_add_str(b, what->body_hash);
}

/* "20130524/us-east-1/s3/aws4_request" */
static void add_scope(struct buffer *b, const struct s3_to_sign *what)
{
	buffer_add(b, what->time, DAY_TEXT);
	buffer_add_char(b, '/');
	buffer_add_str(b, what->region);
	buffer_add_char(b, '/');
	buffer_add_str(b, what->service);
	buffer_add_str(b, "/aws4_request");
}

/* ---- the signature ---- */

static void hmac(const void *key, size_t key_len, const void *bytes, size_t len,
		 uint8_t out[HASH_BYTES])
{
	(void)HMAC(EVP_sha256(), key, (int)key_len, bytes, len, out, NULL);
}

static void make_key(const struct s3_to_sign *what, const struct buffer *secret,
		     uint8_t key[HASH_BYTES])
{
	hmac(secret->bytes, secret->len, what->time, DAY_TEXT, key);
	hmac(key, HASH_BYTES, what->region, strlen(what->region), key);
	hmac(key, HASH_BYTES, what->service, strlen(what->service), key);
	hmac(key, HASH_BYTES, "aws4_request", strlen("aws4_request"), key);
}

/* What is signed is made in `text` and replaced there. */
static void make_signature(const struct s3_to_sign *what, struct buffer *text,
			   const struct buffer *secret, char signature[S3_HASH_TEXT])
{
	uint8_t key[HASH_BYTES];
	char hash[S3_HASH_TEXT];

	s3_hash(text->bytes, text->len, hash);
	buffer_reset(text);
	buffer_add_str(text, ALGORITHM "\n");
	buffer_add_str(text, what->time);
	buffer_add_char(text, '\n');
	add_scope(text, what);
	buffer_add_char(text, '\n');
	buffer_add_str(text, hash);
	if (buffer_ok(text) && buffer_ok(secret)) {
		make_key(what, secret, key);
		hmac(key, sizeof key, text->bytes, text->len, key);
		add_hex(key, sizeof key, signature);
	}
	OPENSSL_cleanse(key, sizeof key);
}

enum status s3_sign(const struct s3_to_sign *what, const struct s3_keys *keys,
		    struct buffer *out, struct error *err)
{
	char signature[S3_HASH_TEXT] = "";
	struct buffer text;
	struct buffer secret;
	bool ok;

	buffer_init(&text);
	buffer_init(&secret);
	buffer_add_str(&secret, "AWS4");
	buffer_add_str(&secret, keys->secret);
	add_request(&text, what);
	ok = buffer_ok(&text) && buffer_ok(&secret);
	if (ok) {
		make_signature(what, &text, &secret, signature);
		ok = buffer_ok(&text);
	}
	buffer_add_str(out, ALGORITHM " Credential=");
	buffer_add_str(out, keys->access);
	buffer_add_char(out, '/');
	add_scope(out, what);
	buffer_add_str(out, ",SignedHeaders=");
	add_names(out, what);
	buffer_add_str(out, ",Signature=");
	buffer_add_str(out, signature);
	buffer_add_char(out, '\0');
	if (secret.cap > 0) {
		OPENSSL_cleanse(secret.bytes, secret.cap);
	}
	buffer_clear(&secret);
	buffer_clear(&text);
	return ok && buffer_ok(out) ? ST_OK
				    : error_no_memory(err, "a request to a server");
}
