/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/audit_leaves.h -- the lines of an audit log become leaves of its tree in a
 * thread of their own, while others are made and written.
 *
 * It pays where there is much: what is less than a batch is hashed by the caller, who
 * waits for the thread first, so that the order of leaves is that of the lines.
 *
 * OWNERSHIP  audit_leaves_open / audit_leaves_close. The tree is borrowed: the thread's
 *            from give to wait.
 * THREADS    The decoding thread; the other one is inside.
 * ERRORS     ST_IO: no thread; ST_NOMEM.
 */
#ifndef SINKS_AUDIT_LEAVES_H
#define SINKS_AUDIT_LEAVES_H

#include <stdbool.h>

#include "src/audit/tree.h"
#include "src/base/message.h"

struct audit_leaves;

enum status audit_leaves_open(struct audit_tree *tree, struct audit_leaves **out,
			      struct error *err) MUST_CHECK;
void audit_leaves_close(struct audit_leaves *leaves); /* takes NULL */

/* Whole lines, each with its LF, to be hashed meanwhile; they must stay as they are
 * until wait. Nothing is with the thread. */
void audit_leaves_give(struct audit_leaves *leaves, struct span lines);
/* All that was given is in the tree. False: a hash could not be made, for good. */
bool audit_leaves_wait(struct audit_leaves *leaves);

/* Whole lines, each with its LF, into the tree now. */
void audit_leaves_add(struct audit_tree *tree, struct audit_hasher *hasher,
		      struct span lines);

#endif
