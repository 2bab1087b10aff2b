/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/compute_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schemas/compute_child.h"
#include "schemas/compute_wire.h"
#include "src/base/clock.h"

#define LOOK_MS  10              /* how often its time is looked at */
#define PATIENCE (30 * NS_PER_S) /* in which it must answer, on a processor or not */
/* Set in its environment: it starts none itself. */
#define IN_CHILD "ROWTAIL_COMPUTES"

struct compute_process {
	const struct table *table;
	const bool *is_off;
	pid_t pid;
	int fd;
	clockid_t clock;
	bool has_clock;
	int64_t used_ns; /* when it has ended, without a clock any more */
	struct buffer request;
	struct wire_head answer;
	struct buffer received;
};

/* ---- starting and ending ---- */

/* It keeps nothing open whose end others wait for, not even stderr. */
static bool add_descriptors(posix_spawn_file_actions_t *actions, int fd)
{
	return posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0) ==
		   0 &&
	       posix_spawn_file_actions_adddup2(actions, 0, 1) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, 0, 2) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, fd, COMPUTE_FD) == 0;
}

/* A stop from the keyboard is for the one that it works for. */
static bool block_signals(posix_spawnattr_t *attributes)
{
	sigset_t all;

	(void)sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &all) == 0 &&
	       posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK) == 0;
}

/* False: errno. */
static bool spawn(struct compute_process *process, int fd)
{
	char name[] = "rowtail";
	char argument[] = COMPUTE_ARGUMENT;
	char mark[] = IN_CHILD "=1";
	char *argv[] = {name, argument, NULL};
	char *env[] = {mark, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int reason = ENOMEM;

	errno = reason;
	if (posix_spawn_file_actions_init(&actions) != 0) {
		return false;
	}
	if (posix_spawnattr_init(&attributes) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return false;
	}
	if (add_descriptors(&actions, fd) && block_signals(&attributes)) {
		reason = posix_spawn(&process->pid, "/proc/self/exe", &actions,
				     &attributes, argv, env);
	}
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = reason;
	return reason == 0;
}

/* A descriptor of the same socket that is not COMPUTE_FD itself, or it would be closed
 * on exec. -1: errno. */
static int move_up(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, COMPUTE_FD + 1);

	if (high < 0 && errno == EINVAL) {
		errno = EMFILE; /* so few are allowed */
	}
	return high;
}

/* False: errno. */
static bool start(struct compute_process *process)
{
	int fds[2];
	int high;
	int reason;
	bool ok;

	if (getenv(IN_CHILD)) {
		errno = EPERM;
		return false;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		return false;
	}
	high = move_up(fds[1]);
	ok = high >= 0 && spawn(process, high);
	reason = errno;
	(void)close(fds[1]);
	if (high >= 0) {
		(void)close(high);
	}
	if (!ok) {
		(void)close(fds[0]);
		errno = reason;
		return false;
	}
	process->fd = fds[0];
	process->has_clock = clock_getcpuclockid(process->pid, &process->clock) == 0;
	return true;
}

int64_t compute_process_cpu_ns(struct compute_process *process)
{
	struct timespec used;

	return process->has_clock && clock_gettime(process->clock, &used) == 0
		   ? clock_ns_of(used)
		   : process->used_ns;
}

/* Its status: of its own end, if it has come to that before. */
static int end(struct compute_process *process)
{
	int status = 0;

	(void)kill(process->pid, SIGKILL);
	process->used_ns = compute_process_cpu_ns(process);
	process->has_clock = false;
	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
	}
	process->pid = 0;
	return status;
}

void compute_process_close(struct compute_process *process)
{
	if (!process) {
		return;
	}
	(void)close(process->fd);
	if (process->pid > 0) {
		(void)end(process);
	}
	buffer_clear(&process->request);
	buffer_clear(&process->received);
	free(process);
}

/* ---- asking ---- */

/* True when there is something to read before its time is over. */
static bool await(struct compute_process *process, int64_t cpu_until_ns,
		  int64_t until_ns)
{
	struct pollfd fd = {.fd = process->fd, .events = POLLIN};

	for (;;) {
		int n = poll(&fd, 1, LOOK_MS);

		if (n > 0) {
			return true;
		}
		if ((n < 0 && errno != EINTR) || clock_mono_ns() > until_ns ||
		    compute_process_cpu_ns(process) > cpu_until_ns) {
			return false;
		}
	}
}

static bool receive(struct compute_process *process, void *to, size_t len,
		    int64_t cpu_until_ns, int64_t until_ns)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = recv(process->fd, at, len, MSG_DONTWAIT);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN) ||
			   !await(process, cpu_until_ns, until_ns)) {
			return false;
		}
	}
	return true;
}

static enum computation ended(struct error *complaint)
{
	(void)error_set(complaint, ST_CORRUPT, "it takes too long or too much memory");
	return COMPUTING_ENDED;
}

/* Of this process or of the other one; not that the row asks for too much. */
static enum computation is_short(struct error *complaint)
{
	(void)error_no_memory(complaint, "computed columns");
	return COMPUTING_SHORT;
}

/* Send the request, of which `request` has what follows the head, and take the answer.
 */
static enum computation ask(struct compute_process *process, struct wire_head *head,
			    const struct compute_budget *budget,
			    struct error *complaint)
{
	int64_t cpu_until_ns = compute_process_cpu_ns(process) + budget->cpu_ns;
	int64_t until_ns = clock_mono_ns() + PATIENCE;
	struct wire_head *answer = &process->answer;
	struct buffer *received = &process->received;

	head->len = process->request.len;
	head->length = budget->length;
	head->memory = budget->memory;
	buffer_reset(received);
	if (!buffer_ok(&process->request)) {
		return is_short(complaint);
	}
	if (!wire_send(process->fd, head, sizeof *head) ||
	    !wire_send(process->fd, process->request.bytes, process->request.len) ||
	    !receive(process, answer, sizeof *answer, cpu_until_ns, until_ns)) {
		return ended(complaint);
	}
	if (answer->kind == WIRE_OK && answer->len > budget->answer) {
		(void)error_set(complaint, ST_CORRUPT,
				"what is computed of a row is too long");
		return COMPUTING_ENDED;
	}
	if (answer->len > budget->answer + sizeof complaint->text) {
		return ended(complaint);
	}
	if (!buffer_reserve(received, (size_t)answer->len + 1)) {
		return is_short(complaint);
	}
	if (!receive(process, received->bytes, (size_t)answer->len, cpu_until_ns,
		     until_ns)) {
		return ended(complaint);
	}
	received->len = (size_t)answer->len;
	received->bytes[received->len] = '\0';
	if (answer->kind == WIRE_OK) {
		return COMPUTED;
	}
	if (answer->kind == WIRE_SHORT) {
		return is_short(complaint);
	}
	(void)error_set(complaint, ST_CORRUPT, "%s",
			answer->kind == WIRE_MEMORY ? "it takes too much memory"
						    : received->bytes);
	return answer->kind == WIRE_BROKEN ? COMPUTING_BROKEN : COMPUTING_FAILED;
}

/* How many of its columns are virtual. */
static uint32_t virtual_count(const struct table *table)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->column_count; i++) {
		count += table->columns[i].generated == GENERATED_VIRTUAL;
	}
	return count;
}

/* The system could not load the program: so little memory may it have. */
static bool is_not_loaded(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 127;
}

struct compute_process *compute_process_open(const struct table *table,
					     const bool *is_off,
					     const struct compute_budget *budget,
					     enum computation *result,
					     struct error *complaint)
{
	struct compute_process *process = calloc(1, sizeof *process);
	struct wire_head head = {.kind = WIRE_OPEN};

	if (!process) {
		errno = ENOMEM;
		return NULL;
	}
	if (!start(process)) {
		free(process); /* keeps errno */
		return NULL;
	}
	process->table = table;
	process->is_off = is_off;
	complaint->text[0] = '\0';
	wire_add_table(&process->request, table, is_off, virtual_count(table));
	*result = ask(process, &head, budget, complaint);
	if (*result == COMPUTING_ENDED && is_not_loaded(end(process))) {
		*result = is_short(complaint);
	}
	if (*result == COMPUTED && process->received.len > 0) {
		(void)error_set(complaint, ST_CORRUPT, "%s", process->received.bytes);
	}
	return process;
}

/* ---- rows ---- */

static void add_row(struct compute_process *process, int64_t rowid,
		    const struct value *values)
{
	const struct table *table = process->table;
	struct value id = {.class = VALUE_INTEGER, .integer = rowid};

	buffer_reset(&process->request);
	wire_add_value(&process->request, &id, NULL);
	for (uint32_t i = 0; i < table->stored_count; i++) {
		const struct value *value = &values[table->stored[i]];

		wire_add_value(&process->request, value, (const char *)value->bytes);
	}
}

enum computation compute_process_write(struct compute_process *process, int64_t rowid,
				       const struct value *values,
				       const struct compute_budget *budget,
				       struct error *complaint)
{
	struct wire_head head = {.kind = WIRE_WRITE};

	add_row(process, rowid, values);
	return ask(process, &head, budget, complaint);
}

static struct wire_reader read_received(const struct compute_process *process)
{
	const uint8_t *at = (const uint8_t *)process->received.bytes;

	return (struct wire_reader){at, at + process->received.len, false};
}

static void take_value(struct wire_reader *r, struct value *value, struct buffer *bytes)
{
	wire_take_value(r, value);
	if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
		const uint8_t *from = value->bytes;

		value->integer = (int64_t)bytes->len;
		buffer_add(bytes, from, value->len);
	}
}

/* All that was received has been taken. */
static enum computation taken(const struct wire_reader *r, const struct buffer *bytes,
			      struct error *complaint)
{
	if (!buffer_ok(bytes)) {
		return is_short(complaint);
	}
	return !r->failed && r->at == r->end ? COMPUTED : ended(complaint);
}

enum computation compute_process_row(struct compute_process *process, int64_t rowid,
				     struct value *values,
				     const struct compute_budget *budget,
				     struct buffer *bytes, struct error *complaint)
{
	const struct table *table = process->table;
	struct wire_head head = {.kind = WIRE_ROW};
	struct wire_reader r;
	enum computation result;
	uint32_t next = 0;

	add_row(process, rowid, values);
	result = ask(process, &head, budget, complaint);
	if (result != COMPUTED) {
		return result;
	}
	r = read_received(process);
	for (uint32_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].generated == GENERATED_VIRTUAL &&
		    !process->is_off[next++]) {
			take_value(&r, &values[i], bytes);
		}
	}
	return taken(&r, bytes, complaint);
}

enum computation compute_process_column(struct compute_process *process, uint32_t index,
					struct value *value,
					const struct compute_budget *budget,
					struct buffer *bytes, struct error *complaint)
{
	struct wire_head head = {.kind = WIRE_COLUMN, .index = index};
	struct wire_reader r;
	enum computation result;

	buffer_reset(&process->request);
	result = ask(process, &head, budget, complaint);
	if (result != COMPUTED) {
		return result;
	}
	r = read_received(process);
	take_value(&r, value, bytes);
	return taken(&r, bytes, complaint);
}
