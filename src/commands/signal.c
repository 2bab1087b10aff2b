/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/commands/signal.c -- rowtail signal: asks the process that has a state directory
 * for a snapshot, a pause, … (src/deliver/signal_socket.h), and prints the signal's id
 * once it is taken.
 *
 * ERRORS  ST_CONFIG: wrong words or options (exit 2). ST_IO: refused, with the reason
 *         of the other side; nobody is there, or answers within 30 s.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/command_table.h"
#include "src/deliver/signal_socket.h"

#define ANSWER_NS  (30 * NS_PER_S)
#define ANSWER_MAX (64 << 10) /* bytes */

static enum status out_of_memory(struct error *err)
{
	return error_no_memory(err, "the signal");
}

/* ---- what is asked for ---- */

/* Does an option that was given go with the type? */
static enum status check_options(const struct config *config, struct error *err)
{
	const struct signal_options *s = &config->signal;
	const char *type = config->words[0];
	bool executes = strcmp(type, "execute-snapshot") == 0;
	bool stops = strcmp(type, "stop-snapshot") == 0;
	const char *wrong = (s->table_count > 0 && !executes && !stops) ? "--table"
			    : s->where && !executes                     ? "--where"
			    : s->type && !executes                      ? "--type"
									: NULL;

	if (wrong) {
		return error_set(err, ST_CONFIG,
				 "%s does not go with rowtail signal %s; leave it out",
				 wrong, type);
	}
	if (executes && s->table_count == 0) {
		return error_set(err, ST_CONFIG,
				 "rowtail signal execute-snapshot: no table given; "
				 "add --table PATTERN ('.*' for all)");
	}
	if (s->type && strcasecmp(s->type, "incremental") != 0 &&
	    strcasecmp(s->type, "blocking") != 0) {
		return error_set(err, ST_CONFIG,
				 "--type=%s: must be incremental or blocking", s->type);
	}
	return ST_OK;
}

static enum status check_words(const struct config *config, struct error *err)
{
	const char *type = config->words[0];
	bool is_log = strcmp(type, "log") == 0;

	for (int i = SIGNAL_LOG; strcmp(type, signal_type_name((enum signal_type)i));
	     i++) {
		if (i == SIGNAL_RESUME_SNAPSHOT) {
			return error_set(err, ST_CONFIG,
					 "rowtail signal %s: must be execute-snapshot, "
					 "stop-snapshot, pause-snapshot, "
					 "resume-snapshot or log",
					 type);
		}
	}
	if (config->word_count > 1 && !is_log) {
		return error_set(err, ST_CONFIG,
				 "rowtail signal %s: unexpected %s; see rowtail --help",
				 type, config->words[1]);
	}
	if (config->word_count < 2 && is_log) {
		return error_set(err, ST_CONFIG,
				 "rowtail signal log: the message is missing");
	}
	if (!config->state_path) {
		return error_set(err, ST_CONFIG,
				 "no state directory given: rowtail signal --state DIR "
				 "%s (a database of that name is ./signal)",
				 type);
	}
	return check_options(config, err);
}

/* The same SQL for each of the patterns. */
static json_t *conditions(const struct signal_options *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->table_count; i++) {
		if (json_array_append_new(
			list, json_pack("{s:s, s:s}", "data-collection", s->tables[i],
					"filter", s->where)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *make_data(const struct config *config)
{
	const struct signal_options *s = &config->signal;
	json_t *data = json_object();
	json_t *tables = json_array();
	int failed = 0;

	for (size_t i = 0; i < s->table_count; i++) {
		failed |= json_array_append_new(tables, json_string(s->tables[i]));
	}
	if (s->table_count > 0) {
		failed |= json_object_set(data, "data-collections", tables);
	}
	json_decref(tables);
	if (s->type) {
		failed |= json_object_set_new(data, "type", json_string(s->type));
	}
	if (s->where) {
		failed |=
		    json_object_set_new(data, "additional-conditions", conditions(s));
	}
	if (config->word_count > 1) {
		failed |=
		    json_object_set_new(data, "message", json_string(config->words[1]));
	}
	if (failed) {
		json_decref(data);
		return NULL;
	}
	return data;
}

/* A line, its end included; freed by the caller. It is parsed here as it will be there:
 * what is wrong with it is wrong usage. */
static enum status make_line(const struct config *config, char **out, struct error *err)
{
	json_t *data = make_data(config);
	json_t *all = data ? json_pack("{s:s, s:s*, s:o}", "type", config->words[0],
				       "id", config->signal.id, "data", data)
			   : NULL;
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	struct signal *signal;
	enum status status;
	bool is_like;

	json_decref(all);
	if (!text) {
		return error_set(err, ST_CONFIG,
				 "the words and options of rowtail signal must be "
				 "UTF-8");
	}
	status = signal_parse_line((struct span){text, strlen(text)}, &signal, &is_like,
				   err);
	if (status == ST_OK) {
		signal_free(signal);
		if (asprintf(out, "%s\n", text) < 0) {
			status = out_of_memory(err);
		}
	}
	free(text);
	return status;
}

/* ---- the other side ---- */

static enum status nobody(const char *state_path, int reason, struct error *err)
{
	struct quoted path = quote(state_path);

	if (reason == ENOENT || reason == ECONNREFUSED || reason == ENOTDIR) {
		return error_set(err, ST_IO,
				 "no rowtail runs with %s; start rowtail with "
				 "--state %s",
				 path.text, path.text);
	}
	if (reason == EAGAIN) {
		return error_set(err, ST_IO,
				 "the rowtail of %s is too busy to be asked; try again",
				 path.text);
	}
	error_set_errno(err, reason, "the rowtail of %s cannot be asked", path.text);
	return reason == EACCES || reason == EPERM
		   ? error_add(err, "; run this as the user that it runs as")
		   : ST_IO;
}

#define BUSY_PAUSE_NS (20 * NS_PER_MS)

/* As connect; while all who may wait there do, until `until_ns`. Returns an errno. */
static int connect_until(int fd, const struct sockaddr_un *address, int64_t until_ns)
{
	while (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
		if ((errno != EAGAIN && errno != EINTR) || stop_requested ||
		    clock_mono_ns() >= until_ns) {
			return errno;
		}
		clock_sleep_ns(BUSY_PAUSE_NS);
	}
	return 0;
}

static enum status connect_to(const char *state_path, int64_t until_ns, int *fd,
			      struct error *err)
{
	struct sockaddr_un address;
	int reason;
	int dir_fd;

	*fd = -1;
	if (signal_socket_address(state_path, &address, &dir_fd, err) != ST_OK) {
		return nobody(state_path, err->sys_errno, err);
	}
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	reason = *fd < 0 ? errno : connect_until(*fd, &address, until_ns);
	if (dir_fd >= 0) {
		(void)close(dir_fd);
	}
	return reason == 0 ? ST_OK : nobody(state_path, reason, err);
}

/* Wait until it is ready for `events`. */
static enum status wait_for(int fd, short events, int64_t until_ns, struct error *err)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = fd, .events = events},
				       {.fd = stop_fd(), .events = POLLIN}};
		int64_t left_ns = until_ns - clock_mono_ns();

		if (stop_requested) {
			return error_set(err, ST_IO,
					 "interrupted: the signal may be taken "
					 "nevertheless");
		}
		if (left_ns <= 0) {
			return error_set(err, ST_IO,
					 "no answer for 30 s: rowtail is busy, and "
					 "takes the signal when it gets to it; its log "
					 "and rowtail status tell what it does");
		}
		if (poll(fds, 2, (int)(left_ns / NS_PER_MS) + 1) > 0 &&
		    fds[0].revents != 0) {
			return ST_OK;
		}
	}
}

static enum status went_away(struct error *err)
{
	return error_set(
	    err, ST_IO, "rowtail went away before it answered; ask again once it runs");
}

static enum status send_line(int fd, const char *line, int64_t until_ns,
			     struct error *err)
{
	size_t len = strlen(line);

	while (len > 0) {
		ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);

		if (sent >= 0) {
			line += sent;
			len -= (size_t)sent;
		} else if (errno == EAGAIN) {
			if (wait_for(fd, POLLOUT, until_ns, err) != ST_OK) {
				return err->status;
			}
		} else if (errno != EINTR) {
			return went_away(err);
		}
	}
	return ST_OK;
}

/* Up to the end of its line. */
static enum status read_line(int fd, struct buffer *line, int64_t until_ns,
			     struct error *err)
{
	while (!memchr(line->len > 0 ? line->bytes : "", '\n', line->len)) {
		char bytes[4096];
		ssize_t len = recv(fd, bytes, sizeof bytes, 0);

		if (len > 0 && line->len <= ANSWER_MAX) {
			buffer_add(line, bytes, (size_t)len);
		} else if (len < 0 && errno == EAGAIN) {
			if (wait_for(fd, POLLIN, until_ns, err) != ST_OK) {
				return err->status;
			}
		} else if (len >= 0 || errno != EINTR) {
			return went_away(err);
		}
	}
	return buffer_ok(line) ? ST_OK : out_of_memory(err);
}

static enum status take_answer(const struct buffer *line, struct error *err)
{
	json_t *answer =
	    json_loadb(line->bytes, line->len, JSON_DISABLE_EOF_CHECK, NULL);
	const char *id = json_string_value(json_object_get(answer, "id"));
	const char *why = json_string_value(json_object_get(answer, "error"));
	enum status status = ST_OK;

	if (id) {
		(void)puts(id);
	} else {
		status = error_set(err, ST_IO, "%s",
				   why ? why : "rowtail's answer is not understood");
	}
	json_decref(answer);
	return status;
}

static enum status ask(const struct config *config, const char *text, struct error *err)
{
	int64_t until_ns = clock_mono_ns() + ANSWER_NS;
	struct buffer answer;
	enum status status;
	int fd;

	buffer_init(&answer);
	status = connect_to(config->state_path, until_ns, &fd, err);
	if (status == ST_OK) {
		status = send_line(fd, text, until_ns, err);
	}
	if (status == ST_OK) {
		status = read_line(fd, &answer, until_ns, err);
	}
	if (status == ST_OK) {
		status = take_answer(&answer, err);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	buffer_clear(&answer);
	return status;
}

static enum status run(const struct config *config, struct error *err)
{
	char *line = NULL;
	enum status status = check_words(config, err);

	if (status == ST_OK) {
		status = make_line(config, &line, err);
	}
	if (status == ST_OK) {
		status = ask(config, line, err);
	}
	free(line);
	return status;
}

static const char *const forms[] = {"--state DIR TYPE [MESSAGE]", NULL};

const struct command signal_command = {
    .name = "signal",
    .usage = "--state DIR TYPE [MESSAGE] [--table PATTERN]...",
    .forms = forms,
    .help = "ask a rowtail that runs: execute-snapshot, stop-snapshot,\n"
	    "pause-snapshot, resume-snapshot, or log with a message\n",
    .words = 2,
    .least_words = 1,
    .takes_state = true,
    .takes_signal = true,
    .run = run,
};
