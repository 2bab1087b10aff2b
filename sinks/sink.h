/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks/sink.h -- where finished messages go.
 *
 * A sink takes messages in order and says up to which one they are
 * acknowledged; it never sees rows. One thread calls all of these.
 *
 * ERRORS  ST_CLOSED: the reader went away, leave quietly. ST_STOPPED: the stop
 *         flag was raised while waiting for the reader. ST_IO, ST_NOMEM: text in
 *         `*err`. After any of them only close may be called.
 */
#ifndef SINKS_SINK_H
#define SINKS_SINK_H

#include <stdbool.h>

#include "src/base/message.h"
#include "src/base/status.h"

struct sink {
	/* Take one message; may write. */
	enum status (*put)(struct sink *sink, const struct message *message,
			   struct error *err);
	/* Everything put so far goes out now. */
	enum status (*flush)(struct sink *sink, struct error *err);
	/* Messages for this topic may come; of a table, and without keys if it has no
	 * primary key. `table` is NULL for control messages. NULL: no need to know. */
	enum status (*announce)(struct sink *sink, struct span topic, const char *table,
				bool is_keyless, struct error *err);
	/* Between transactions: what was put should be flushed, although more is to
	 * come. NULL: never. */
	bool (*wants_flush)(const struct sink *sink);
	/* A descriptor that shows POLLERR or POLLHUP when the reader goes away; -1:
	 * none. */
	int (*watch_fd)(const struct sink *sink);
	void (*close)(struct sink *sink); /* frees; takes NULL-checked sinks only */
	bool wants_keys; /* false: key, headers and tombstones are not looked at */
};

#endif
