/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/waiting.h"

#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/metrics.h"

static void set(struct waiting *waiting, int64_t captured_ns)
{
	waiting->oldest_ns = captured_ns;
	health_oldest(captured_ns);
}

void waiting_begin(struct waiting *waiting, int64_t captured_ns)
{
	if (waiting->oldest_ns == 0) {
		set(waiting, captured_ns);
	}
}

void waiting_acknowledged(struct waiting *waiting, uint64_t lsn, bool is_all)
{
	metrics_set(METRIC_ACKNOWLEDGED_LSN, lsn);
	if (is_all && waiting->oldest_ns > 0) {
		metrics_took(METRIC_DELIVERY_LAG, clock_wall_ns() - waiting->oldest_ns);
		set(waiting, 0);
	}
}

void waiting_end(struct waiting *waiting)
{
	set(waiting, 0);
	health_say(HEALTH_SINK, NULL);
}
