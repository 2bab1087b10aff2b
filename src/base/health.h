/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/health.h -- what keeps this run from doing its work at the moment, and since
 * when: told by whoever notices, read by whoever watches.
 *
 * THREADS  Any. Of the whole process, which follows one database.
 * ERRORS   None.
 */
#ifndef BASE_HEALTH_H
#define BASE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parts that may stand still, each for one reason at a time. */
enum health_part {
	HEALTH_RUN,     /* the run as a whole: it starts, waits, begins anew */
	HEALTH_CAPTURE, /* there is no room for what is committed */
	HEALTH_SINK,    /* takes nothing */
	HEALTH_ARCHIVE, /* is out of reach */
	HEALTH_PARTS,
};

/* It stands still because of `why`; NULL: it works. Since when is counted from the
 * first of such calls. */
void health_say(enum health_part part, const char *why);

/* The capture thread looks at the WAL now; at its end, or before it begins, not. */
void health_beat(void);
/* The same in the middle of a look, if it is that thread's: it may take minutes. */
void health_beat_on(void);
void health_no_beat(void);
/* Since it looked last, ns; 0: it does not look. */
int64_t health_beat_age_ns(void);

/* What was captured then (clock_wall_ns) is the oldest that the sink has not
 * acknowledged; 0: there is nothing. A clock that is set meanwhile does not matter. */
void health_oldest(int64_t captured_ns);
/* Its age, ns; 0: there is nothing. */
int64_t health_lag_ns(void);

/* Rows of a snapshot, or of a chunk of one, go out and are not all acknowledged. That
 * may take hours, but goes on all the time. */
void health_snapshot(bool is_going);
/* Something of it was read, or taken by the sink. */
void health_goes_on(void);

/*
 * Is the run well: none of its parts has stood still for longer than `most_ns`, nor has
 * a snapshot, nor has the oldest transaction waited longer, and the run as a whole
 * follows? Else why not,
 * one line, in `why`.
 */
bool health_is_well(int64_t most_ns, char *why, size_t why_size);

#endif
