/* SPDX-License-Identifier: Apache-2.0 */
#include "src/monitor/metrics_server.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/buffer.h"
#include "src/base/clock.h"
#include "src/base/health.h"
#include "src/base/json_text.h"
#include "src/base/log.h"
#include "src/base/metrics.h"
#include "src/monitor/child_output.h"
#include "src/monitor/listen_address.h"
#include "src/monitor/process_metrics.h"
#include "src/state/state_sizes.h"

#define CONNECTIONS  16u
#define SILENCE_S    10u
#define MEMORY_BYTES (16u << 10) /* of a connection, for what it is asked */
#define STATUS_NS    (20 * NS_PER_S)
#define STATUS_BYTES (1u << 20)
#define WHY_BYTES    1200
/* How long another client's turn is waited for. */
#define CHILD_TURN_NS (5 * NS_PER_S)
#define SIZES_TURN_NS NS_PER_S
#define TURN_LOOK_NS  (2 * NS_PER_MS)
#define TEXT_TYPE     "text/plain; charset=utf-8"
#define METRICS_TYPE  "text/plain; version=0.0.4; charset=utf-8"
#define JSON_TYPE     "application/json"

struct metrics_server {
	struct metrics_server_settings settings;
	struct listen_address address;
	struct MHD_Daemon *daemon;
	int64_t begun_ns; /* wall clock */
	_Atomic bool is_closing;
	/* Looking at a disk may hang. Who has it then is one client, not all that may
	 * be there. */
	pthread_mutex_t child; /* one at a time */
	pthread_mutex_t sizes;
};

/* What is answered. */
struct answer {
	unsigned code;
	const char *type;
	struct buffer text;
};

/* False: another client has it all the time. */
static bool take_turn(pthread_mutex_t *turn, int64_t most_ns)
{
	int64_t until_ns = clock_mono_ns() + most_ns;

	while (pthread_mutex_trylock(turn) != 0) {
		if (clock_mono_ns() >= until_ns) {
			return false;
		}
		clock_sleep_ns(TURN_LOOK_NS);
	}
	return true;
}

/* ---- /metrics ---- */

static void add_info(const struct metrics_server *server, struct buffer *out)
{
	const char *state = server->settings.state ? server->settings.state : "";

	buffer_add_str(out, "# HELP rowtail_info What runs, and on what.\n"
			    "# TYPE rowtail_info gauge\nrowtail_info{version=");
	metrics_add_label(out, ROWTAIL_VERSION);
	buffer_add_str(out, ",database=");
	metrics_add_label(out, server->settings.database);
	buffer_add_str(out, ",state=");
	metrics_add_label(out, state);
	buffer_add_str(out, ",sink=");
	metrics_add_label(out, server->settings.sink);
	buffer_add_str(out, "} 1\n");
}

static void add_sizes(struct metrics_server *server, struct buffer *out)
{
	struct state_sizes sizes;
	bool is_read;

	if (!server->settings.state || !take_turn(&server->sizes, SIZES_TURN_NS)) {
		return;
	}
	is_read = state_sizes_of_path(server->settings.state, &sizes);
	(void)pthread_mutex_unlock(&server->sizes);
	if (!is_read) {
		return;
	}
	metrics_add_one(out, "rowtail_shadow_bytes", "Disk space of the shadow.",
			"gauge", (double)sizes.shadow);
	metrics_add_one(out, "rowtail_frames_bytes", "Disk space of page images.",
			"gauge", (double)sizes.frames);
	metrics_add_one(out, "rowtail_log_bytes",
			"Disk space of the journal's records.", "gauge",
			(double)sizes.log);
}

static void answer_metrics(struct metrics_server *server, struct answer *answer)
{
	struct buffer *out = &answer->text;
	char why[WHY_BYTES];

	answer->type = METRICS_TYPE;
	add_info(server, out);
	metrics_add_text(out);
	metrics_add_one(out, "rowtail_lag_seconds",
			"Age of the oldest transaction that the sink has not "
			"acknowledged.",
			"gauge", (double)health_lag_ns() / (double)NS_PER_S);
	metrics_add_one(out, "rowtail_healthy", "1: /health says so.", "gauge",
			health_is_well(server->settings.max_lag_ns, why, sizeof why));
	add_sizes(server, out);
	process_metrics_add(out, server->begun_ns);
}

/* ---- /health ---- */

static void answer_health(struct metrics_server *server, struct answer *answer)
{
	char why[WHY_BYTES];

	if (health_is_well(server->settings.max_lag_ns, why, sizeof why)) {
		buffer_add_str(&answer->text, "well\n");
		return;
	}
	answer->code = MHD_HTTP_SERVICE_UNAVAILABLE;
	buffer_add_str(&answer->text, why);
	buffer_add_char(&answer->text, '\n');
}

/* ---- /status ---- */

/* Without a state directory. */
static void answer_alone(const struct metrics_server *server, struct answer *answer)
{
	char why[WHY_BYTES];
	bool is_well = health_is_well(server->settings.max_lag_ns, why, sizeof why);
	json_t *json = json_pack(
	    "{s:o, s:n, s:b, s:i, s:b, s:b, s:o}", "database",
	    json_text(server->settings.database), "state_directory", "running", 1,
	    "pid", (int)getpid(), "following", metrics_get(METRIC_FOLLOWING) != 0,
	    "healthy", is_well, "why", json_text(is_well ? NULL : why));
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text) {
		buffer_add_str(&answer->text, text);
		buffer_add_char(&answer->text, '\n');
	} else {
		answer->code = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	free(text);
	json_decref(json);
}

static void answer_status(struct metrics_server *server, struct answer *answer)
{
	const char *const args[] = {
	    "rowtail", "status", "--state", server->settings.state, "--json", NULL};

	const struct child_limits limits = {
	    .ns = STATUS_NS, .bytes = STATUS_BYTES, .stop = &server->is_closing};
	bool is_told;

	answer->type = JSON_TYPE;
	if (!server->settings.state) {
		answer_alone(server, answer);
		return;
	}
	if (!take_turn(&server->child, CHILD_TURN_NS)) {
		answer->code = MHD_HTTP_SERVICE_UNAVAILABLE;
		answer->type = TEXT_TYPE;
		buffer_add_str(&answer->text, "others ask for it; try again later\n");
		return;
	}
	is_told = child_output(args, &limits, &answer->text);
	(void)pthread_mutex_unlock(&server->child);
	if (!is_told) {
		answer->code = MHD_HTTP_INTERNAL_SERVER_ERROR;
		answer->type = TEXT_TYPE;
		if (answer->text.len == 0) {
			buffer_add_str(&answer->text,
				       "rowtail status could not be run, or took too "
				       "long\n");
		}
	}
}

/* ---- HTTP ---- */

static const struct page {
	const char *path;
	void (*answer)(struct metrics_server *server, struct answer *answer);
} pages[] = {
    {"/metrics", answer_metrics},
    {"/health", answer_health},
    {"/status", answer_status},
};

static void answer_path(struct metrics_server *server, const char *path,
			struct answer *answer)
{
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (strcmp(pages[i].path, path) == 0) {
			pages[i].answer(server, answer);
			return;
		}
	}
	answer->code = MHD_HTTP_NOT_FOUND;
	buffer_add_str(&answer->text, "there are /metrics, /health and /status\n");
}

static void add_header(struct MHD_Response *response, const char *name,
		       const char *value)
{
	(void)MHD_add_response_header(response, name, value);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection,
				   const struct answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    answer->text.len, answer->text.bytes, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (response) {
		add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
		add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
		add_header(response, "X-Content-Type-Options", "nosniff");
		if (answer->code == MHD_HTTP_METHOD_NOT_ALLOWED) {
			add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
		}
		result = MHD_queue_response(connection, answer->code, response);
		MHD_destroy_response(response);
	}
	return result;
}

static enum MHD_Result serve(void *context, struct MHD_Connection *connection,
			     const char *url, const char *method, const char *version,
			     const char *upload, size_t *upload_len, void **call)
{
	struct metrics_server *server = context;
	struct answer answer = {.code = MHD_HTTP_OK, .type = TEXT_TYPE};
	enum MHD_Result result;

	(void)version, (void)upload, (void)call;
	if (*upload_len > 0) { /* not read: it is closed behind the answer */
		return MHD_NO;
	}
	buffer_init(&answer.text);
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	    strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) {
		answer_path(server, url, &answer);
	} else {
		answer.code = MHD_HTTP_METHOD_NOT_ALLOWED;
		buffer_add_str(&answer.text, "GET or HEAD\n");
	}
	result = buffer_ok(&answer.text) ? send_answer(connection, &answer) : MHD_NO;
	buffer_clear(&answer.text);
	return result;
}

/* What the library has to say is of clients. */
static void log_library(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void log_library(void *context, const char *format, va_list args)
{
	char text[512];
	size_t len;

	(void)context;
	(void)vsnprintf(text, sizeof text, format, args);
	len = strlen(text);
	while (len > 0 && text[len - 1] == '\n') {
		text[--len] = '\0';
	}
	log_debug("metrics: %s", text);
}

/* Its threads take no signals (src/base/thread.h). */
static struct MHD_Daemon *start(struct metrics_server *server)
{
	struct MHD_Daemon *daemon;
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	daemon = MHD_start_daemon(
	    MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION |
		MHD_USE_ERROR_LOG,
	    0, NULL, NULL, serve, server, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
	    MHD_OPTION_LISTEN_SOCKET, server->address.fd, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES, MHD_OPTION_END);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return daemon;
}

static void say_where(const struct metrics_server *server)
{
	const char *shown = server->address.shown;

	log_info("metrics at %s%s", shown,
		 server->address.path[0] ? ": /metrics, /health, /status" : "/metrics");
	if (!server->address.is_local) {
		log_warn("whoever reaches %s from another machine can read the names "
			 "of tables and how many rows change; use 127.0.0.1 or "
			 "unix:PATH where that matters",
			 shown);
	}
}

enum status metrics_server_open(const struct metrics_server_settings *settings,
				struct metrics_server **out, struct error *err)
{
	struct metrics_server *server;
	enum status status;

	*out = NULL;
	if (!settings->listen) {
		return ST_OK;
	}
	server = calloc(1, sizeof *server);
	if (!server) {
		return error_no_memory(err, "metrics");
	}
	server->settings = *settings;
	server->begun_ns = clock_wall_ns();
	(void)pthread_mutex_init(&server->child, NULL);
	(void)pthread_mutex_init(&server->sizes, NULL);
	status = listen_address_open(settings->listen, &server->address, err);
	if (status == ST_OK) {
		server->daemon = start(server);
		if (!server->daemon) {
			status = error_set(err, ST_IO,
					   "metrics.listen=%s: cannot serve there",
					   settings->listen);
		}
	}
	if (status != ST_OK) {
		metrics_server_close(server);
		return status;
	}
	metrics_want_events();
	say_where(server);
	*out = server;
	return ST_OK;
}

void metrics_server_close(struct metrics_server *server)
{
	if (!server) {
		return;
	}
	atomic_store(&server->is_closing, true);
	if (server->daemon) {
		MHD_stop_daemon(server->daemon); /* closes the socket */
		server->address.fd = -1;
	}
	listen_address_close(&server->address);
	(void)pthread_mutex_destroy(&server->child);
	(void)pthread_mutex_destroy(&server->sizes);
	free(server);
}
