/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/signal_channels.h -- which channels of signals there are, and where.
 *
 * ERRORS  ST_CONFIG: one lacks what it needs. ST_NOMEM.
 */
#ifndef SIGNAL_CHANNELS_H
#define SIGNAL_CHANNELS_H

#include <stdbool.h>

#include "src/base/status.h"
#include "src/config/config.h"

/* The channels whose place is set, unless `is_given` which ones; the place of one that
 * is not among them counts no more, and one without a place gets its default. All other
 * settings are filled in. */
enum status signal_channels_derive(struct config *config, bool is_given,
				   struct error *err) MUST_CHECK;

#endif
