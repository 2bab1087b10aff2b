/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/audit/note.h -- heads of an audit log, and the keys that sign them.
 *
 * FORMAT   A head is a checkpoint of C2SP (c2sp.org/tlog-checkpoint), a signed note
 *          (c2sp.org/signed-note):
 *
 *              ORIGIN\n
 *              SIZE\n              leaves, decimal
 *              ROOT\n              of the tree of RFC 6962, base64
 *              \n
 *              — NAME SIG\n        base64 of the key's id (4 bytes) and Ed25519 (64)
 *
 *          NAME is ORIGIN. Behind ROOT there may be more lines: in the hand-over of a
 *          key one, the text of the key that signs from line SIZE on, signed with the
 *          one that signed before. There may be more signatures, of witnesses. Keys are
 * texts as golang.org/x/mod/sumdb/note has them: NAME+ID+BASE64, of a private one
 *          behind PRIVATE+KEY+. ID is the hexadecimal of SHA-256(NAME \n 0x01 PUBLIC)
 *          cut to 4 bytes; what is in BASE64 begins with 0x01, for Ed25519.
 * OWNERSHIP All by value. Private keys are in the clear; audit_key_wipe forgets one.
 * THREADS  No shared state.
 * ERRORS   ST_CORRUPT: the text is none of these. ST_NOMEM. ST_CONFIG: libcrypto has no
 *          Ed25519.
 */
#ifndef AUDIT_NOTE_H
#define AUDIT_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/audit/tree.h"
#include "src/base/buffer.h"
#include "src/base/status.h"

#define AUDIT_NAME_BYTES 128 /* with the NUL */
#define AUDIT_NAME_START "rowtail-audit/"
#define AUDIT_ED25519    32 /* bytes of a key, and of the seed of a private one */
#define AUDIT_ID_BYTES   4
#define AUDIT_SIGNATURE  64

struct audit_key {
	char name[AUDIT_NAME_BYTES];
	uint8_t id[AUDIT_ID_BYTES];
	uint8_t public_key[AUDIT_ED25519];
	bool is_private;
	uint8_t seed[AUDIT_ED25519];
};

/* A new private key. */
enum status audit_key_make(const char *name, struct audit_key *out,
			   struct error *err) MUST_CHECK;
/* The text of either kind, without LF. */
enum status audit_key_parse(const char *text, size_t len, struct audit_key *out,
			    struct error *err) MUST_CHECK;
/* Append the text: the private one only where that is asked for. */
void audit_key_add(struct buffer *to, const struct audit_key *key, bool is_private);
bool audit_key_is(const struct audit_key *a, const struct audit_key *b); /* public */
void audit_key_wipe(struct audit_key *key);

struct audit_head {
	uint64_t size;
	struct audit_hash root;
};

/* Append the signed note of a head; the key is a private one. */
enum status audit_note_add(struct buffer *to, const struct audit_key *key,
			   const struct audit_head *head, struct error *err) MUST_CHECK;

/* The same that hands over to another key. */
enum status audit_note_add_handover(struct buffer *to, const struct audit_key *key,
				    const struct audit_head *head,
				    const struct audit_key *next,
				    struct error *err) MUST_CHECK;

/* One that was read; the text is borrowed. */
struct audit_note {
	char origin[AUDIT_NAME_BYTES];
	struct audit_head head;
	const char
	    *text; /* what is signed: up to and with the LF before the empty line */
	size_t text_len;
	const char *extension; /* the line behind the root; NULL: none */
	size_t extension_len;
	const char *signatures; /* the lines behind the empty one */
	size_t signatures_len;
};
enum status audit_note_parse(const char *text, size_t len, struct audit_note *out,
			     struct error *err) MUST_CHECK;
/* Has the key signed it? */
bool audit_note_is_signed(const struct audit_note *note, const struct audit_key *key);
/* Does it hand over to this key? Whoever signed it. */
bool audit_note_hands_over(const struct audit_note *note, const struct audit_key *next);

/* Append base64 with padding. */
void audit_base64_add(struct buffer *to, const void *bytes, size_t len);
/* Exactly `out_len` bytes, in the one way in which they are written. */
bool audit_base64_read(const char *text, size_t len, void *out, size_t out_len);

#endif
