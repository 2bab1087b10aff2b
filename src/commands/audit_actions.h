/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/audit_actions.h -- what rowtail audit does, a file each.
 *
 * Each is called with its words given: config->words[1] is PATH. It prints on stdout.
 *
 * THREADS  The main thread.
 * ERRORS   ST_CONFIG: wrong usage, no audit log. ST_END: nothing was found. ST_CORRUPT:
 *          the log is not what was written. ST_IO, ST_NOMEM.
 */
#ifndef AUDIT_ACTIONS_H
#define AUDIT_ACTIONS_H

#include "src/config/config.h"

enum status audit_verify_run(const struct config *config, struct error *err) MUST_CHECK;
enum status audit_history_run(const struct config *config,
			      struct error *err) MUST_CHECK;
enum status audit_report_run(const struct config *config, struct error *err) MUST_CHECK;
enum status audit_redact_run(const struct config *config, struct error *err) MUST_CHECK;
enum status audit_prove_run(const struct config *config, struct error *err) MUST_CHECK;
enum status audit_consistency_run(const struct config *config,
				  struct error *err) MUST_CHECK;

#endif
