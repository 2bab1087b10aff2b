/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/monitor/process_metrics.h -- what every process can tell of itself, by the names
 * that Prometheus's own libraries give it.
 *
 * THREADS  Any.
 */
#ifndef MONITOR_PROCESS_METRICS_H
#define MONITOR_PROCESS_METRICS_H

#include <stdint.h>

#include "src/base/buffer.h"

/* `begun_ns`: wall clock of the process's start. What cannot be found out is left out.
 */
void process_metrics_add(struct buffer *out, int64_t begun_ns);

#endif
