/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_key_file.h -- what signs an audit log, in the state directory.
 *
 * FORMAT   DIR/audit-key, mode 0600, two lines: the private key (src/audit/note.h), and
 *          the secret of the salts in base64, 32 bytes.
 * TURNS    Each file of the log has a key of its own. The next one lies in
 *          DIR/audit-key.next until the file that it signs is there; then it takes the
 *          place of the one before, which nobody has any more: who gets hold of today's
 *          key can change no older file.
 * THREADS  The decoding thread.
 * OLD      A key that makes room for that of another log stays as DIR/audit-key.old-N.
 * ERRORS   ST_CONFIG: somebody else may read it, or it is no file. ST_IO, ST_NOMEM.
 */
#ifndef SINKS_AUDIT_KEY_FILE_H
#define SINKS_AUDIT_KEY_FILE_H

#include "src/audit/note.h"

#define AUDIT_SECRET_BYTES 32

struct audit_secrets {
	struct audit_key key;
	uint8_t salt[AUDIT_SECRET_BYTES];
};

enum audit_key_turn {
	AUDIT_KEY_NOW,
	AUDIT_KEY_NEXT,
};

/* ST_END: there is none. ST_CORRUPT: it is damaged. */
enum status audit_key_file_read(const char *state_path, enum audit_key_turn which,
				struct audit_secrets *out,
				struct error *err) MUST_CHECK;
/* Draw new ones for a log of this name, and keep them; durable when it returns. */
enum status audit_key_file_make(const char *state_path, enum audit_key_turn which,
				const char *name, struct audit_secrets *out,
				struct error *err) MUST_CHECK;
/* The next one is the one that signs from now on; durable when it returns. */
enum status audit_key_file_turn(const char *state_path, struct error *err) MUST_CHECK;
void audit_secrets_wipe(struct audit_secrets *secrets);

#endif
