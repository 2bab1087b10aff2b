/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/archive_upkeep.h -- rowtail archive prune and compact: what is due in an
 * archive by its properties, done by hand.
 *
 * Each file that is made or removed is a line on stdout. The archive's own writer may
 * go on meanwhile.
 *
 * ERRORS  ST_CONFIG: no archive. ST_CORRUPT: damage, a gap, or a moment would be lost:
 *         nothing was removed. ST_IO, ST_NOMEM.
 */
#ifndef ARCHIVE_UPKEEP_H
#define ARCHIVE_UPKEEP_H

#include "src/config/config.h"

/* Remove what is past archive.retention and archive.l0.retention; with --dry-run only
 * say so. */
enum status archive_prune(const struct config *config, struct error *err) MUST_CHECK;

/* Merge files of levels, and make a snapshot, as they are due. */
enum status archive_compact(const struct config *config, struct error *err) MUST_CHECK;

#endif
