/* SPDX-License-Identifier: Apache-2.0 */
#include "src/monitor/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/metrics.h"

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void add_cpu(struct buffer *out)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		metrics_add_one(
		    out, "process_cpu_seconds_total", "User and system CPU time.",
		    "counter", seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
	}
}

/* proc(5), statm: pages of size and of resident memory. */
static void add_memory(struct buffer *out)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;
	bool is_read = file && fscanf(file, "%llu %llu", &size, &resident) == 2;
	double page = (double)sysconf(_SC_PAGESIZE);

	if (file) {
		(void)fclose(file);
	}
	if (is_read) {
		metrics_add_one(out, "process_virtual_memory_bytes", "Virtual memory.",
				"gauge", (double)size * page);
		metrics_add_one(out, "process_resident_memory_bytes",
				"Resident memory, with what is shared of the database.",
				"gauge", (double)resident * page);
	}
}

static void add_files(struct buffer *out)
{
	DIR *folder = opendir("/proc/self/fd");
	struct rlimit most;
	int count = -1; /* its own */

	if (!folder) {
		return;
	}
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		count += entry->d_name[0] != '.';
	}
	(void)closedir(folder);
	metrics_add_one(out, "process_open_fds", "Open file descriptors.", "gauge",
			count);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur != RLIM_INFINITY) {
		metrics_add_one(out, "process_max_fds", "The most of them.", "gauge",
				(double)most.rlim_cur);
	}
}

void process_metrics_add(struct buffer *out, int64_t begun_ns)
{
	add_cpu(out);
	add_memory(out);
	add_files(out);
	metrics_add_one(out, "process_start_time_seconds",
			"When the process began, since the Unix epoch.", "gauge",
			(double)begun_ns / (double)NS_PER_S);
}
