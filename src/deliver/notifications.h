/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/deliver/notifications.h -- telling how snapshots go, by the channels of
 * notification.enabled.channels:
 *
 *     log   a line on stderr. At debug (--verbose): progress within a table, and a
 *           snapshot that is neither incremental nor asked for by a signal
 *     file  the value without schema, a line of notification.file, which is opened
 *           each time (src/deliver/notification_file.h)
 *     sink  a message of the topic notification.sink.topic.name, which is in no
 *           transaction: its index is MESSAGE_NO_INDEX, and it may come again after a
 *           kill, or be missing
 *
 * schemas/notification.h has what is told.
 *
 * OWNERSHIP  notifications_open / notifications_close. Config and sink are borrowed.
 * THREADS    The decoding thread only.
 * ERRORS     Of open ST_CONFIG: the file, or the topic, cannot be that. Of send those
 *            of the sink and ST_NOMEM; what is wrong with the file is a warning, the
 *            first time.
 */
#ifndef NOTIFICATIONS_H
#define NOTIFICATIONS_H

#include <stdbool.h>

#include "schemas/notification.h"
#include "sinks/sink.h"
#include "src/config/config.h"

struct notifications;
struct route; /* schemas/route.h */

/* `route` is what becomes of their topic and keys, borrowed. */
enum status notifications_open(const struct config *config, const struct route *route,
			       struct sink *sink, struct notifications **out,
			       struct error *err) MUST_CHECK;
void notifications_close(struct notifications *notifications); /* takes NULL */

/* One of the channels is the sink. */
bool notifications_reach_sink(const struct notifications *notifications);

enum status notifications_send(struct notifications *notifications,
			       enum notification_kind kind,
			       const struct notification_of *of,
			       struct error *err) MUST_CHECK;

#endif
