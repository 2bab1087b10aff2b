/* SPDX-License-Identifier: Apache-2.0 */
#include "src/deliver/waiting.h"

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

void waiting_begin_snapshot(struct waiting *waiting)
{
	waiting->in_snapshot = true;
	health_snapshot(true);
}

static void end_snapshot(struct waiting *waiting)
{
	waiting->in_snapshot = false;
	health_snapshot(false);
}

void waiting_flushed(struct waiting *waiting)
{
	health_goes_on();
	if (waiting->oldest_ns > 0) {
		metrics_took(METRIC_DELIVERY_LAG, health_lag_ns());
		set(waiting, 0);
	}
	if (waiting->in_snapshot) {
		end_snapshot(waiting);
	}
}

void waiting_acknowledged(struct waiting *waiting, uint64_t lsn, bool is_all)
{
	metrics_set(METRIC_ACKNOWLEDGED_LSN, lsn);
	health_goes_on();
	if (is_all) {
		waiting_flushed(waiting);
	}
}

void waiting_end(struct waiting *waiting)
{
	set(waiting, 0);
	end_snapshot(waiting);
	health_say(HEALTH_SINK, NULL);
}
