/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/resume.h -- where a run goes on with a sink that keeps a position of its
 * own: what is kept here, in the sink's words, and back.
 *
 * THREADS  The decoding thread.
 */
#ifndef RESUME_H
#define RESUME_H

#include "sinks/sink.h"
#include "src/config/config.h"
#include "src/state/kept_position.h"

/* Settle it with the sink, whose kind has a claim. Errors are those of the claim. */
enum status resume_claim(struct sink *sink, const struct config *config,
			 const struct kept_position *kept, struct sink_claim *out,
			 struct error *err) MUST_CHECK;

/* What the sink would say to that, and to what comes then: its kind's look. */
enum status resume_look(struct sink *sink, const struct config *config,
			const struct kept_position *kept, const struct sink_look *look,
			struct error *err) MUST_CHECK;

/* A position in the sink's words; `chain` is the journal's checksum there. */
void resume_tell(const struct state_position *from, uint64_t chain,
		 struct sink_position *to);

/* What the sink has, as a position of ours. */
void resume_adopt(const struct sink_position *from, struct state_position *to);
/* And kept, on disk when it returns. */
enum status resume_keep(const struct sink *sink, const struct sink_position *from,
			struct kept_position *kept, struct error *err) MUST_CHECK;

#endif
