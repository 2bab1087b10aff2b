/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/state/state_sizes.h -- disk space of the parts of a state directory, bytes.
 *
 * THREADS  Any: no file of it is opened.
 */
#ifndef STATE_SIZES_H
#define STATE_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

struct state_sizes {
	uint64_t shadow; /* with the hashes of its pages */
	uint64_t frames; /* page images of the journal */
	uint64_t log;    /* its records */
};

/* `path` is for messages. ST_IO, ST_NOMEM. */
enum status state_sizes_read(int dir_fd, const char *path, struct state_sizes *out,
			     struct error *err) MUST_CHECK;
/* False: it cannot be told. */
bool state_sizes_of_path(const char *path, struct state_sizes *out) MUST_CHECK;

#endif
