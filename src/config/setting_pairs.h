/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/setting_pairs.h -- settings that need or exclude each other.
 *
 * THREADS  No shared state.
 * ERRORS   ST_NOMEM. What is put into problems names both, and what to do.
 */
#ifndef SETTING_PAIRS_H
#define SETTING_PAIRS_H

#include "src/base/status.h"
#include "src/config/config.h"

/* Each pair that does not fit is put into `problems`: then it is ST_OK all the same. */
enum status setting_pairs_check(const struct config *config, struct problems *problems,
				struct error *err) MUST_CHECK;

#endif
