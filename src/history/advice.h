/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/history/advice.h -- what messages about a state directory say to do.
 */
#ifndef ADVICE_H
#define ADVICE_H

/* For messages about damage: what to do, and what that costs. */
#define STATE_BEGIN_ANEW                                                       \
	"start again: a new snapshot will be taken, all rows come again, and " \
	"deletions that were not delivered yet are not told"
#define STATE_MOVE_AWAY "move the state directory away and " STATE_BEGIN_ANEW

#endif
