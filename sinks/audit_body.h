/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_body.h -- what stands in a line of an audit log behind its number, of the
 * lines that tell of the log and of rowtail.
 *
 * FORMAT    docs/audit.md: "time":"…","op":"…" and members, without the last brace.
 * OWNERSHIP The buffer is the caller's; one that failed says so (src/base/buffer.h).
 * THREADS   No shared state.
 */
#ifndef SINKS_AUDIT_BODY_H
#define SINKS_AUDIT_BODY_H

#include <stdint.h>

#include "src/base/buffer.h"

/* As of now; the caller goes on with members, or closes it with a brace. */
void audit_body_begin(struct buffer *body, const char *op);
/* ,"NAME":"TEXT" with escapes; what is no UTF-8 becomes U+FFFD. */
void audit_body_text(struct buffer *body, const char *name, const char *text);
void audit_body_number(struct buffer *body, const char *name, uint64_t number);
/* ,"note":"…" of a signed note. */
void audit_body_note(struct buffer *body, const struct buffer *note);

#endif
