/* SPDX-License-Identifier: Apache-2.0 */
#include "src/audit/note.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define ALGORITHM   0x01 /* Ed25519 */
#define PRIVATE_TAG "PRIVATE+KEY+"
#define DASH        "\xe2\x80\x94 " /* before a signature */
#define BASE64_LEN  96              /* of the longest that is read here, and more */

/* ---- base64 ---- */

void audit_base64_add(struct buffer *to, const void *bytes, size_t len)
{
	size_t room = (len + 2) / 3 * 4;

	if (buffer_reserve(to, room + 1)) { /* it writes a NUL */
		(void)EVP_EncodeBlock((unsigned char *)to->bytes + to->len, bytes,
				      (int)len);
		to->len += room;
	}
}

bool audit_base64_read(const char *text, size_t len, void *out, size_t out_len)
{
	unsigned char bytes[BASE64_LEN], again[BASE64_LEN + 4];

	if (len != (out_len + 2) / 3 * 4 || len > BASE64_LEN ||
	    EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) < 0) {
		return false;
	}
	/* It skips spaces, and bits that do not count may be anything. */
	(void)EVP_EncodeBlock(again, bytes, (int)out_len);
	if (memcmp(again, text, len) != 0) {
		return false;
	}
	memcpy(out, bytes, out_len);
	return true;
}

/* ---- keys ---- */

static enum status no_ed25519(struct error *err)
{
	return error_set(
	    err, ST_CONFIG,
	    "the library of OpenSSL has no Ed25519, which audit logs need");
}

/* No part of a text may be mistaken for another one. */
static bool is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c == '+' || c == '"' || c == '\\' || c >= 0x7F) {
			return false;
		}
	}
	return len > 0 && len < AUDIT_NAME_BYTES;
}

static bool find_id(const struct audit_key *key, uint8_t id[AUDIT_ID_BYTES])
{
	uint8_t bytes[AUDIT_NAME_BYTES + 2 + AUDIT_ED25519];
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t len = strlen(key->name);

	memcpy(bytes, key->name, len);
	bytes[len++] = '\n';
	bytes[len++] = ALGORITHM;
	memcpy(bytes + len, key->public_key, AUDIT_ED25519);
	if (EVP_Digest(bytes, len + AUDIT_ED25519, hash, NULL, EVP_sha256(), NULL) !=
	    1) {
		return false;
	}
	memcpy(id, hash, AUDIT_ID_BYTES);
	return true;
}

/* The public key of a private one, and the id. */
static enum status complete(struct audit_key *key, struct error *err)
{
	size_t len = AUDIT_ED25519;
	EVP_PKEY *pkey;
	bool is_there;

	if (key->is_private) {
		pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed,
						    AUDIT_ED25519);
		is_there = pkey && EVP_PKEY_get_raw_public_key(pkey, key->public_key,
							       &len) == 1;
		EVP_PKEY_free(pkey);
		if (!is_there) {
			return no_ed25519(err);
		}
	}
	return find_id(key, key->id) ? ST_OK : error_no_memory(err, "a key");
}

enum status audit_key_make(const char *name, struct audit_key *out, struct error *err)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t len = AUDIT_ED25519;
	bool is_made;

	*out = (struct audit_key){.is_private = true};
	(void)snprintf(out->name, sizeof out->name, "%s", name);
	is_made = pkey && EVP_PKEY_get_raw_private_key(pkey, out->seed, &len) == 1;
	EVP_PKEY_free(pkey);
	return is_made ? complete(out, err) : no_ed25519(err);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static bool read_id(const char *text, uint8_t id[AUDIT_ID_BYTES])
{
	for (size_t i = 0; i < AUDIT_ID_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

enum status audit_key_parse(const char *text, size_t len, struct audit_key *out,
			    struct error *err)
{
	size_t tag = strlen(PRIVATE_TAG), name_len;
	uint8_t id[AUDIT_ID_BYTES], data[1 + AUDIT_ED25519];
	const char *plus;
	bool is_right;

	*out = (struct audit_key){0};
	if (len > tag && memcmp(text, PRIVATE_TAG, tag) == 0) {
		out->is_private = true;
		text += tag;
		len -= tag;
	}
	plus = len > 0 ? memchr(text, '+', len) : NULL;
	name_len = plus ? (size_t)(plus - text) : 0;
	is_right = plus && is_name(text, name_len) && len > name_len + 10 &&
		   text[name_len + 9] == '+' && read_id(plus + 1, id) &&
		   audit_base64_read(text + name_len + 10, len - name_len - 10, data,
				     sizeof data) &&
		   data[0] == ALGORITHM;
	if (is_right) {
		memcpy(out->name, text, name_len);
		memcpy(out->is_private ? out->seed : out->public_key, data + 1,
		       AUDIT_ED25519);
		if (complete(out, err) != ST_OK) {
			return err->status;
		}
	}
	OPENSSL_cleanse(data, sizeof data);
	if (!is_right || memcmp(id, out->id, sizeof id) != 0) {
		audit_key_wipe(out);
		return error_set(err, ST_CORRUPT,
				 "no key of an audit log: must be NAME+ID+BASE64, as "
				 "rowtail audit key prints it");
	}
	return ST_OK;
}

void audit_key_add(struct buffer *to, const struct audit_key *key, bool is_private)
{
	uint8_t data[1 + AUDIT_ED25519] = {ALGORITHM};
	char id[2 * AUDIT_ID_BYTES + 3];

	(void)snprintf(id, sizeof id, "+%02x%02x%02x%02x+", key->id[0], key->id[1],
		       key->id[2], key->id[3]);
	buffer_add_str(to, is_private ? PRIVATE_TAG : "");
	buffer_add_str(to, key->name);
	buffer_add_str(to, id);
	memcpy(data + 1, is_private ? key->seed : key->public_key, AUDIT_ED25519);
	audit_base64_add(to, data, sizeof data);
	OPENSSL_cleanse(data, sizeof data);
}

bool audit_key_is(const struct audit_key *a, const struct audit_key *b)
{
	return strcmp(a->name, b->name) == 0 &&
	       memcmp(a->public_key, b->public_key, AUDIT_ED25519) == 0;
}

void audit_key_wipe(struct audit_key *key)
{
	OPENSSL_cleanse(key, sizeof *key);
}

/* ---- notes ---- */

static enum status sign(const struct audit_key *key, const char *text, size_t len,
			uint8_t signature[AUDIT_SIGNATURE], struct error *err)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed,
						      AUDIT_ED25519);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t signature_len = AUDIT_SIGNATURE;
	bool is_signed = pkey && context &&
			 EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
			 EVP_DigestSign(context, signature, &signature_len,
					(const unsigned char *)text, len) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return is_signed ? ST_OK : error_no_memory(err, "a signature");
}

static enum status add_note(struct buffer *to, const struct audit_key *key,
			    const struct audit_head *head, const struct audit_key *next,
			    struct error *err)
{
	uint8_t signature[AUDIT_ID_BYTES + AUDIT_SIGNATURE];
	size_t start = to->len;
	enum status status;

	buffer_add_str(to, key->name);
	buffer_add_char(to, '\n');
	buffer_add_u64(to, head->size);
	buffer_add_char(to, '\n');
	audit_base64_add(to, head->root.bytes, AUDIT_HASH_BYTES);
	buffer_add_char(to, '\n');
	if (next) {
		audit_key_add(to, next, false);
		buffer_add_char(to, '\n');
	}
	if (!buffer_ok(to)) {
		return error_no_memory(err, "a signature");
	}
	memcpy(signature, key->id, AUDIT_ID_BYTES);
	status = sign(key, to->bytes + start, to->len - start,
		      signature + AUDIT_ID_BYTES, err);
	buffer_add_str(to, "\n" DASH);
	buffer_add_str(to, key->name);
	buffer_add_char(to, ' ');
	audit_base64_add(to, signature, sizeof signature);
	buffer_add_char(to, '\n');
	return status != ST_OK || buffer_ok(to) ? status
						: error_no_memory(err, "a signature");
}

enum status audit_note_add(struct buffer *to, const struct audit_key *key,
			   const struct audit_head *head, struct error *err)
{
	return add_note(to, key, head, NULL, err);
}

enum status audit_note_add_handover(struct buffer *to, const struct audit_key *key,
				    const struct audit_head *head,
				    const struct audit_key *next, struct error *err)
{
	return add_note(to, key, head, next, err);
}

/* The line that `*text` begins with; NULL: there is no LF. Moves it behind. */
static const char *take_line(const char **text, size_t *len, size_t *line_len)
{
	const char *line = *text;
	const char *end = *len > 0 ? memchr(line, '\n', *len) : NULL;

	if (!end) {
		return NULL;
	}
	*line_len = (size_t)(end - line);
	*len -= *line_len + 1;
	*text = end + 1;
	return line;
}

static bool read_size(const char *text, size_t len, uint64_t *out)
{
	uint64_t size = 0;

	if (len == 0 || len > 18 || (len > 1 && text[0] == '0')) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return false;
		}
		size = size * 10 + (uint64_t)(text[i] - '0');
	}
	*out = size;
	return true;
}

/* Name, size, root. */
static bool take_head(const char **text, size_t *len, struct audit_note *out)
{
	size_t line_len;
	const char *line = take_line(text, len, &line_len);

	if (!line || !is_name(line, line_len)) {
		return false;
	}
	memcpy(out->origin, line, line_len);
	line = take_line(text, len, &line_len);
	if (!line || !read_size(line, line_len, &out->head.size)) {
		return false;
	}
	line = take_line(text, len, &line_len);
	return line && audit_base64_read(line, line_len, out->head.root.bytes,
					 AUDIT_HASH_BYTES);
}

enum status audit_note_parse(const char *text, size_t len, struct audit_note *out,
			     struct error *err)
{
	const char *start = text, *line;
	size_t line_len;

	*out = (struct audit_note){.text = text};
	if (!take_head(&text, &len, out)) {
		return error_set(err, ST_CORRUPT,
				 "no checkpoint: must be a signed note");
	}
	out->text_len = (size_t)(text - start);
	while ((line = take_line(&text, &len, &line_len)) != NULL && line_len > 0) {
		if (!out->extension) {
			out->extension = line;
			out->extension_len = line_len;
		}
		out->text_len = (size_t)(text - start);
	}
	if (!line) {
		return error_set(err, ST_CORRUPT,
				 "no checkpoint: must be a signed note");
	}
	out->signatures = text;
	out->signatures_len = len;
	return ST_OK;
}

static bool is_signature(const struct audit_note *note, const uint8_t *signature,
			 const struct audit_key *key)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
						     key->public_key, AUDIT_ED25519);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_right =
	    pkey && context &&
	    EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(context, signature, AUDIT_SIGNATURE,
			     (const unsigned char *)note->text, note->text_len) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return is_right;
}

bool audit_note_is_signed(const struct audit_note *note, const struct audit_key *key)
{
	const char *text = note->signatures, *line;
	size_t len = note->signatures_len, line_len, name_len = strlen(key->name);
	size_t before = strlen(DASH) + name_len + 1;
	uint8_t signature[AUDIT_ID_BYTES + AUDIT_SIGNATURE];

	if (strcmp(note->origin, key->name) != 0) {
		return false;
	}
	while ((line = take_line(&text, &len, &line_len)) != NULL) {
		if (line_len > before && memcmp(line, DASH, strlen(DASH)) == 0 &&
		    memcmp(line + strlen(DASH), key->name, name_len) == 0 &&
		    line[before - 1] == ' ' &&
		    audit_base64_read(line + before, line_len - before, signature,
				      sizeof signature) &&
		    memcmp(signature, key->id, AUDIT_ID_BYTES) == 0 &&
		    is_signature(note, signature + AUDIT_ID_BYTES, key)) {
			return true;
		}
	}
	return false;
}

bool audit_note_hands_over(const struct audit_note *note, const struct audit_key *next)
{
	struct audit_key key;
	struct error ignored;

	return note->extension &&
	       audit_key_parse(note->extension, note->extension_len, &key, &ignored) ==
		   ST_OK &&
	       !key.is_private && audit_key_is(&key, next);
}
