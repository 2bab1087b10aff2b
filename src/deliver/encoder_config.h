/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/encoder_config.h -- the encoder that the configuration asks for.
 *
 * OWNERSHIP  Rules and transforms are the caller's to close, behind the encoder; NULL
 *            where there are none. The config is borrowed by all three.
 * THREADS    One thread at a time.
 * ERRORS     Those of schemas/column_rules.h, schemas/transforms.h and
 *            schemas/encoder.h.
 */
#ifndef ENCODER_CONFIG_H
#define ENCODER_CONFIG_H

#include "schemas/column_rules.h"
#include "schemas/encoder.h"
#include "schemas/transforms.h"
#include "src/config/config.h"

enum status encoder_config_open(const struct config *config,
				struct column_rules **rules,
				struct transforms **transforms,
				struct encoder **encoder, struct error *err) MUST_CHECK;

#endif
