/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/clock.h"
#include "src/base/file_io.h"
#include "src/base/quote.h"
#include "src/base/stop.h"
#include "src/storage/s3_access.h"
#include "src/storage/s3_address.h"
#include "src/storage/s3_text.h"

#define TRIES        6
#define TRIES_START  3  /* to get a connection at all */
#define RENEWALS     3  /* of the keys, for one request: while they are being written */
#define LOOK_MS      50 /* between two looks whether to give up */
#define PAUSE_MS     100 /* at most, after the first try; then twice that, and so on */
#define CONNECT_MS   10000L
#define TIMEOUT_MS   60000 /* without a setting */
#define LEAST_SPEED  64L   /* bytes a second that are an answer, not silence */
#define ALL_HEADERS  (S3_REQUEST_HEADERS + 4u)
#define FAULT_IGNORE (1u << 20) /* bytes of an error's text that are passed over */
#define AWS_REGION   "us-east-1"

struct s3_client {
	const struct storage_settings *settings;
	const char *bucket;
	const char *region;
	struct s3_access access;
	struct s3_address address;
	CURL *curl;
	const _Atomic bool *gives_up; /* NULL: never */
	int64_t stopped_ns; /* a signal to stop was seen, monotonic; 0: none */
	char problem[CURL_ERROR_SIZE];
};

/* One try. */
struct exchange {
	struct s3_client *client;
	const struct s3_request *request;
	struct s3_answer *answer;
	uint64_t sent;    /* bytes of the body */
	size_t ignored;   /* bytes of an error */
	int read_errno;   /* of the file that is sent */
	bool is_too_long; /* the answer */
};

const char *s3_client_bucket(const struct s3_client *client)
{
	return client->bucket;
}

const char *s3_client_region(const struct s3_client *client)
{
	return client->region;
}

void s3_client_give_up_when(struct s3_client *client, const _Atomic bool *stops)
{
	client->gives_up = stops;
}

const struct storage_settings *s3_client_settings(const struct s3_client *client)
{
	return client->settings;
}

bool s3_client_may_get_keys(const struct s3_client *client)
{
	return client->access.was_accepted && s3_access_may_change(&client->access);
}

const char *s3_client_server(const struct s3_client *client)
{
	return client->address.server;
}

/* ---- settings ---- */

/* The setting, or the variable; NULL: neither. */
static const char *given(const char *setting, const char *variable)
{
	const char *value = setting ? setting : getenv(variable);

	return value && *value ? value : NULL;
}

/* What can stand in a header. */
static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~') {
			return false;
		}
	}
	return true;
}

static void find_region(struct s3_client *c)
{
	c->region = given(c->settings->s3_region, "AWS_REGION");
	if (!c->region) {
		c->region = given(NULL, "AWS_DEFAULT_REGION");
	}
	if (!c->region || !is_printable(c->region)) {
		c->region = AWS_REGION;
	}
}

enum status s3_client_open(const struct storage_settings *settings, const char *bucket,
			   struct s3_client **out, struct error *err)
{
	struct s3_client *c = calloc(1, sizeof *c);
	enum status status;

	if (!c) {
		return error_no_memory(err, "an archive");
	}
	c->settings = settings;
	c->bucket = bucket;
	find_region(c);
	status = s3_address_init(&c->address, settings->s3_endpoint,
				 settings->s3_in_host, c->region, bucket, err);
	if (status == ST_OK) {
		status = s3_access_init(&c->access, settings, bucket, err);
	}
	if (status == ST_OK) {
		c->curl = curl_easy_init();
		status = c->curl ? ST_OK : error_no_memory(err, "an archive");
	}
	if (status != ST_OK) {
		s3_client_close(c);
		return status;
	}
	*out = c;
	return ST_OK;
}

void s3_client_close(struct s3_client *c)
{
	if (!c) {
		return;
	}
	curl_easy_cleanup(c->curl);
	s3_address_clear(&c->address);
	s3_access_clear(&c->access);
	free(c);
}

/* ---- what libcurl calls ---- */

static size_t take_fault(struct exchange *x, const char *bytes, size_t len)
{
	struct s3_answer *a = x->answer;
	size_t room = sizeof a->fault - 1 - a->fault_len;
	size_t n = len < room ? len : room;

	memcpy(a->fault + a->fault_len, bytes, n);
	a->fault_len += n;
	a->fault[a->fault_len] = '\0';
	x->ignored += len - n;
	return x->ignored > FAULT_IGNORE ? 0 : len;
}

static size_t take_body(char *bytes, size_t one, size_t len, void *context)
{
	struct exchange *x = context;
	struct s3_answer *a = x->answer;
	long code = 0;

	len *= one;
	(void)curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &code);
	if (code >= 300) {
		return take_fault(x, bytes, len);
	}
	if (len > x->request->room - a->len) {
		x->is_too_long = true;
		return 0;
	}
	if (len > 0) {
		memcpy((char *)x->request->into + a->len, bytes, len);
	}
	a->len += len;
	return len;
}

/* "bytes 0-99/12345" */
static void take_range(struct s3_answer *a, const char *value)
{
	uint64_t from;
	uint64_t to;
	uint64_t total;

	if (sscanf(value, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &from, &to,
		   &total) == 3) {
		a->range_from = from;
		a->total = total;
	}
}

static void take_text(char *field, size_t size, const char *value)
{
	(void)snprintf(field, size, "%s", value);
}

static void take_value(struct s3_answer *a, const char *name, const char *value)
{
	if (strcasecmp(name, "etag") == 0) {
		take_text(a->etag, sizeof a->etag, value);
	} else if (strcasecmp(name, "x-amz-meta-litestream-timestamp") == 0) {
		take_text(a->time, sizeof a->time, value);
	} else if (strcasecmp(name, "x-amz-bucket-region") == 0) {
		take_text(a->region, sizeof a->region, value);
	} else if (strcasecmp(name, "date") == 0) {
		time_t date = curl_getdate(value, NULL);

		a->date_s = date > 0 ? (int64_t)date : 0;
	} else if (strcasecmp(name, "content-range") == 0) {
		take_range(a, value);
	} else if (strcasecmp(name, "content-length") == 0 && a->total == 0) {
		(void)s3_span_number((struct s3_span){value, strlen(value)}, &a->total);
	}
}

/* Clear what an answer before this one said: an interim one, or an earlier try. */
static void begin_answer(struct s3_answer *a)
{
	a->len = 0;
	a->total = 0;
	a->range_from = 0;
	a->etag[0] = a->time[0] = a->region[0] = '\0';
	a->date_s = 0;
	a->fault[0] = '\0';
	a->fault_len = 0;
}

void s3_answer_take_header(struct s3_answer *answer, const char *bytes, size_t len)
{
	char line[512];
	char *value;

	/* None that is read here is so long. */
	if (len >= sizeof line || memchr(bytes, '\0', len)) {
		return;
	}
	memcpy(line, bytes, len);
	while (len > 0 && strchr("\r\n \t", line[len - 1])) {
		len--;
	}
	line[len] = '\0';
	value = strchr(line, ':');
	if (strncmp(line, "HTTP/", 5) == 0) {
		begin_answer(answer);
	} else if (value) {
		*value++ = '\0';
		take_value(answer, line, value + strspn(value, " \t"));
	}
}

static size_t take_header(char *bytes, size_t one, size_t len, void *context)
{
	const struct exchange *x = context;

	s3_answer_take_header(x->answer, bytes, len * one);
	return len * one;
}

static size_t give_body(char *bytes, size_t one, size_t len, void *context)
{
	struct exchange *x = context;
	const struct s3_request *r = x->request;

	len *= one;
	if (len > r->len - x->sent) {
		len = (size_t)(r->len - x->sent);
	}
	if (len == 0) {
		return 0;
	}
	if (r->bytes) {
		memcpy(bytes, (const char *)r->bytes + x->sent, len);
	} else if (!file_read_exactly(r->fd, bytes, len,
				      (off_t)(r->offset + x->sent))) {
		x->read_errno = errno;
		return CURL_READFUNC_ABORT;
	}
	x->sent += len;
	return len;
}

static int rewind_body(void *context, curl_off_t offset, int origin)
{
	struct exchange *x = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->request->len) {
		return CURL_SEEKFUNC_CANTSEEK;
	}
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* A stop was asked for, and its grace is over. */
static bool has_to_stop(struct s3_client *c)
{
	int64_t now;

	if (c->gives_up && *c->gives_up) {
		return true;
	}
	if (!stop_requested) {
		return false;
	}
	now = clock_mono_ns();
	if (c->stopped_ns == 0) {
		c->stopped_ns = now;
	}
	return now - c->stopped_ns >= c->settings->stop_grace_ms * NS_PER_MS;
}

static int look_for_stop(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
			 curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	return has_to_stop(context);
}

/* ---- a request ---- */

/* Of the bucket "/BUCKET" or "/". */
static void add_path(struct buffer *b, const struct s3_client *c, const char *key)
{
	buffer_add_str(b, c->address.base);
	if (*key || !*c->address.base) {
		buffer_add_char(b, '/');
	}
	s3_add_encoded(b, key, strlen(key), true);
	buffer_add_char(b, '\0');
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct s3_header *)left)->name,
		      ((const struct s3_header *)right)->name);
}

struct signing {
	char time[S3_TIME_TEXT];
	char hash[S3_HASH_TEXT];
	struct s3_header headers[ALL_HEADERS];
	size_t count;
};

static void add_header(struct signing *s, const char *name, const char *value)
{
	assert(s->count < ALL_HEADERS);
	s->headers[s->count++] = (struct s3_header){name, value};
}

static void collect_headers(struct signing *s, const struct s3_client *c,
			    const struct s3_request *r)
{
	s->count = 0;
	s3_time_text(clock_wall_ns(), s->time);
	add_header(s, "host", c->address.host);
	add_header(s, "x-amz-content-sha256", s->hash);
	add_header(s, "x-amz-date", s->time);
	if (c->access.keys.token) {
		add_header(s, "x-amz-security-token", c->access.keys.token);
	}
	for (size_t i = 0; i < r->header_count; i++) {
		add_header(s, r->headers[i].name, r->headers[i].value);
	}
	qsort(s->headers, s->count, sizeof *s->headers, compare_names);
}

/* false: no memory; the list is as long as it was. */
static bool append(struct curl_slist **list, struct buffer *line, const char *name,
		   const char *value)
{
	struct curl_slist *longer;

	buffer_reset(line);
	buffer_add_str(line, name);
	buffer_add_str(line, *value ? ": " : ":");
	buffer_add_str(line, value);
	buffer_add_char(line, '\0');
	longer = buffer_ok(line) ? curl_slist_append(*list, line->bytes) : NULL;
	*list = longer ? longer : *list;
	return longer != NULL;
}

/* All headers, the signature among them. */
static enum status make_headers(const struct s3_client *c, const struct s3_request *r,
				struct signing *s, const char *path,
				struct curl_slist **list, struct error *err)
{
	struct s3_to_sign what = {.method = r->method,
				  .path = path,
				  .query = r->query ? r->query : "",
				  .headers = s->headers,
				  .body_hash = s->hash,
				  .region = c->region,
				  .service = "s3",
				  .time = s->time};
	struct buffer signature;
	struct buffer line;
	enum status status;
	bool ok;

	collect_headers(s, c, r);
	what.header_count = s->count;
	buffer_init(&signature);
	buffer_init(&line);
	status = s3_sign(&what, &c->access.keys, &signature, err);
	ok = status == ST_OK && append(list, &line, "authorization", signature.bytes) &&
	     append(list, &line, "expect", "") &&
	     append(list, &line, "content-type", "");
	for (size_t i = 0; ok && i < s->count; i++) {
		ok = append(list, &line, s->headers[i].name, s->headers[i].value);
	}
	buffer_clear(&line);
	buffer_clear(&signature);
	return ok || status != ST_OK ? status
				     : error_no_memory(err, "a request to a server");
}

#define SET(option, value) (void)curl_easy_setopt(curl, (option), (value))

static void set_body(CURL *curl, struct exchange *x)
{
	const struct s3_request *r = x->request;

	if (strcmp(r->method, "PUT") == 0) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->len);
	} else if (strcmp(r->method, "POST") == 0) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
	} else if (strcmp(r->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (strcmp(r->method, "GET") != 0) {
		SET(CURLOPT_CUSTOMREQUEST, r->method);
	}
	SET(CURLOPT_READFUNCTION, give_body);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKFUNCTION, rewind_body);
	SET(CURLOPT_SEEKDATA, x);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, x);
}

static void set_options(struct s3_client *c)
{
	CURL *curl = c->curl;
	int timeout_ms = c->settings->s3_timeout_ms;
	long most = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS;

	curl_easy_reset(curl);
	c->problem[0] = '\0';
	SET(CURLOPT_ERRORBUFFER, c->problem);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, most < CONNECT_MS ? most : CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, LEAST_SPEED);
	SET(CURLOPT_LOW_SPEED_TIME, (most + 999) / 1000);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, look_for_stop);
	SET(CURLOPT_XFERINFODATA, c);
	if (c->settings->s3_ca) {
		SET(CURLOPT_CAINFO, c->settings->s3_ca);
		SET(CURLOPT_CAPATH, NULL);
	}
}

/* One try; `*result` says how it ended. */
static enum status send_once(struct exchange *x, struct signing *s, CURLcode *result,
			     struct error *err)
{
	struct s3_client *c = x->client;
	CURL *curl = c->curl;
	struct curl_slist *list = NULL;
	struct buffer path;
	struct buffer url;
	enum status status;

	buffer_init(&path);
	buffer_init(&url);
	add_path(&path, c, x->request->key);
	buffer_add_str(&url, c->address.server);
	if (buffer_ok(&path)) {
		buffer_add_str(&url, path.bytes);
	}
	buffer_add_str(&url, x->request->query ? "?" : "");
	buffer_add_str(&url, x->request->query ? x->request->query : "");
	buffer_add_char(&url, '\0');
	status = buffer_ok(&path) && buffer_ok(&url)
		     ? make_headers(c, x->request, s, path.bytes, &list, err)
		     : error_no_memory(err, "a request to a server");
	if (status == ST_OK) {
		set_options(c);
		set_body(curl, x);
		SET(CURLOPT_URL, url.bytes);
		SET(CURLOPT_HTTPHEADER, list);
		begin_answer(x->answer);
		*result = curl_easy_perform(curl);
	}
	curl_slist_free_all(list);
	buffer_clear(&url);
	buffer_clear(&path);
	return status;
}

/* ---- tries ---- */

static bool is_start(CURLcode result)
{
	return result == CURLE_COULDNT_RESOLVE_HOST ||
	       result == CURLE_COULDNT_CONNECT ||
	       result == CURLE_COULDNT_RESOLVE_PROXY ||
	       result == CURLE_SSL_CONNECT_ERROR;
}

static bool is_broken(CURLcode result)
{
	return result == CURLE_OPERATION_TIMEDOUT || result == CURLE_SEND_ERROR ||
	       result == CURLE_RECV_ERROR || result == CURLE_GOT_NOTHING ||
	       result == CURLE_PARTIAL_FILE || result == CURLE_SEND_FAIL_REWIND;
}

/* Of an error. */
static bool has_code(const struct s3_answer *a, const char *const *codes, size_t count)
{
	struct s3_span code =
	    a->code >= 300
		? s3_xml_find((struct s3_span){a->fault, a->fault_len}, "Code")
		: (struct s3_span){0};

	for (size_t i = 0; i < count; i++) {
		if (s3_span_is(code, codes[i])) {
			return true;
		}
	}
	return false;
}

/* Would other keys help? An answer to HEAD does not tell. */
static bool is_refused(const struct s3_answer *a)
{
	static const char *const codes[] = {"ExpiredToken", "TokenRefreshRequired",
					    "InvalidToken"};

	return a->code == 401 || a->code == 403 ||
	       has_code(a, codes, sizeof codes / sizeof *codes);
}

/* A server that is busy, or has a moment of weakness. */
static bool is_busy(const struct s3_answer *a)
{
	static const char *const codes[] = {"SlowDown", "RequestTimeout",
					    "InternalError"};

	if (a->code >= 500 || a->code == 429 || a->code == 409) {
		return a->code != 501 && a->code != 505;
	}
	return has_code(a, codes, sizeof codes / sizeof *codes);
}

/* A random time, at most twice as long after each try. false: it has to stop. */
static bool pause_before(struct s3_client *c, int try)
{
	int most = stop_requested ? PAUSE_MS : PAUSE_MS << try;
	uint64_t x = (uint64_t)clock_mono_ns() * 0x9e3779b97f4a7c15u;
	int left = most / 4 + (int)(x >> 33) % (most * 3 / 4);
	struct pollfd stop = {.fd = stop_fd(), .events = POLLIN};

	while (left > 0 && !has_to_stop(c)) {
		int ms = c->gives_up && left > LOOK_MS ? LOOK_MS : left;

		left = poll(&stop, stop_requested ? 0 : 1, ms) == 0 ? left - ms : 0;
	}
	return !has_to_stop(c);
}

static enum status no_answer(const struct exchange *x, CURLcode result,
			     struct error *err)
{
	const struct s3_client *c = x->client;
	const char *server = c->address.server;
	const char *problem = c->problem[0] ? c->problem : curl_easy_strerror(result);

	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return error_set(err, ST_IO,
				 "s3://%s: the host of %s is unknown: check %s and the "
				 "network",
				 c->bucket, server,
				 c->settings->s3_endpoint
				     ? "archive.s3.endpoint"
				     : "archive.s3.region, archive.s3.endpoint");
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return error_set(err, ST_IO,
				 "s3://%s: the certificate of %s is not trusted (%s): "
				 "if it is of a CA of your own, give its file as "
				 "archive.s3.ca",
				 c->bucket, server, problem);
	case CURLE_SSL_CACERT_BADFILE:
		return error_set(err, ST_CONFIG,
				 "archive.s3.ca: %s has no certificates that can be "
				 "read: give a PEM file, or install ca-certificates",
				 c->settings->s3_ca ? quote(c->settings->s3_ca).text
						    : "the system's file");
	case CURLE_SSL_CONNECT_ERROR:
		return error_set(err, ST_IO,
				 "s3://%s: TLS with %s failed (%s): is it a server "
				 "for http://?",
				 c->bucket, server, problem);
	default:
		return error_set(err, ST_IO,
				 "s3://%s: no answer from %s (%s): check the address, "
				 "the network and the server, or try again later",
				 c->bucket, server, problem);
	}
}

/* The try ended without an answer: is another one of use? ST_RETRY: it is. */
static enum status judge(const struct exchange *x, CURLcode result, int try,
			 struct error *err)
{
	if (stop_requested && result == CURLE_ABORTED_BY_CALLBACK && !x->read_errno) {
		return error_set(err, ST_STOPPED, "interrupted");
	}
	if (x->read_errno) {
		return error_set_errno(err, x->read_errno,
				       "the file for s3://%s/%s cannot be read",
				       x->client->bucket, x->request->key);
	}
	if (x->is_too_long) {
		return error_set(err, ST_IO,
				 "s3://%s: %s sends more than was asked for: is it a "
				 "server of S3? check archive.s3.endpoint",
				 x->client->bucket, x->client->address.server);
	}
	if ((is_broken(result) && try + 1 < TRIES) ||
	    (is_start(result) && try + 1 < TRIES_START)) {
		return ST_RETRY;
	}
	return no_answer(x, result, err);
}

static enum status hash_body(const struct s3_client *c, const struct s3_request *r,
			     char text[S3_HASH_TEXT], struct error *err)
{
	if (r->bytes || r->len == 0) {
		s3_hash(r->bytes ? r->bytes : "", (size_t)r->len, text);
		return ST_OK;
	}
	return s3_hash_file(r->fd, r->offset, r->len, text)
		   ? ST_OK
		   : error_set_errno(err, errno,
				     "the file for s3://%s/%s cannot be read",
				     c->bucket, r->key);
}

enum status s3_client_send(struct s3_client *c, const struct s3_request *request,
			   struct s3_answer *answer, struct error *err)
{
	struct signing signing;
	int renewals = 0;
	enum status status = hash_body(c, request, signing.hash, err);

	for (int try = 0; status == ST_OK; try++) {
		struct exchange x = {.client = c, .request = request, .answer = answer};
		CURLcode result = CURLE_OK;
		long code = 0;

		status = send_once(&x, &signing, &result, err);
		if (status != ST_OK) {
			break;
		}
		(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
		answer->code = (int)code;
		/* Of an error without end its beginning is enough. */
		if (result == CURLE_OK ||
		    (result == CURLE_WRITE_ERROR && !x.is_too_long && code >= 300)) {
			c->access.was_accepted |= code < 300 || code == 404;
			if (is_refused(answer) && renewals++ < RENEWALS &&
			    s3_access_renew(&c->access)) {
				try--;
				continue;
			}
			if (!is_busy(answer) || try + 1 == TRIES) {
				return ST_OK;
			}
		} else {
			status = judge(&x, result, try, err);
			if (status != ST_RETRY) {
				return status;
			}
			status = ST_OK;
		}
		if (!pause_before(c, try)) {
			return error_set(err, ST_STOPPED, "interrupted");
		}
	}
	return status;
}
