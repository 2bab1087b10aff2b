/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/setting_pairs.h -- settings that need or exclude each other.
 *
 * THREADS  No shared state.
 * ERRORS   ST_CONFIG: names both, and what to do.
 */
#ifndef SETTING_PAIRS_H
#define SETTING_PAIRS_H

#include "src/base/status.h"
#include "src/config/config.h"

enum status setting_pairs_check(const struct config *config,
				struct error *err) MUST_CHECK;

#endif
