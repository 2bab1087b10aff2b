/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"

#define MESSAGE_MAX 200u /* bytes of what the server says, for a line */

static struct s3_span fault_of(const struct s3_answer *a)
{
	return (struct s3_span){a->fault, a->fault_len};
}

struct s3_span s3_fault_code(const struct s3_answer *a)
{
	return s3_xml_find(fault_of(a), "Code");
}

bool s3_fault_is_missing(const struct s3_answer *a)
{
	struct s3_span code = s3_fault_code(a);

	return a->code == 404 && (!code.bytes || s3_span_is(code, "NoSuchKey"));
}

/* ---- single faults ---- */

static bool is_one_of(struct s3_span code, const char *names)
{
	size_t len;

	for (; *names; names += len + (names[len] == ' ')) {
		len = strcspn(names, " ");
		if (code.bytes && code.len == len &&
		    memcmp(code.bytes, names, len) == 0) {
			return true;
		}
	}
	return false;
}

/* Where the bucket is, as the server says it; "" if it does not. */
static void find_region(const struct s3_answer *a, char *text, size_t size)
{
	struct s3_span region = s3_xml_find(fault_of(a), "Region");
	size_t len = region.len;

	(void)snprintf(text, size, "%s", a->region);
	if (!*text && region.bytes && len < size) {
		(void)snprintf(text, size, "%.*s", (int)len, region.bytes);
	}
	if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(text)) {
		*text = '\0';
	}
}

static enum status region_fault(const struct s3_client *c, const struct s3_answer *a,
				const char *what, struct error *err)
{
	char region[64];

	find_region(a, region, sizeof region);
	if (*region && strcmp(region, s3_client_region(c)) != 0) {
		return error_set(
		    err, ST_CONFIG,
		    "%s: the region is %s, not %s: set archive.s3.region=%s "
		    "(or AWS_REGION)",
		    what, region, s3_client_region(c), region);
	}
	return error_set(err, ST_CONFIG,
			 "%s: %s says that the bucket is elsewhere, and not where; its "
			 "redirects are not followed: set archive.s3.endpoint or "
			 "archive.s3.region (now %s) to the bucket's own",
			 what, s3_client_server(c), s3_client_region(c));
}

static enum status clock_fault(const struct s3_answer *a, const char *what,
			       struct error *err)
{
	int64_t behind = a->date_s - clock_wall_ns() / NS_PER_S;

	if (a->date_s == 0) {
		return error_set(err, ST_IO,
				 "%s: the clock of this machine is not the server's: "
				 "set it (timedatectl), then try again",
				 what);
	}
	return error_set(err, ST_IO,
			 "%s: the clock of this machine is %" PRId64 " s %s that of "
			 "the server, more than it accepts: set it (timedatectl), then "
			 "try again",
			 what, behind < 0 ? -behind : behind,
			 behind < 0 ? "ahead of" : "behind");
}

/* A code that says nothing special here; with the server's own words. */
static enum status other_fault(const struct s3_client *c, const struct s3_answer *a,
			       const char *what, struct error *err)
{
	struct s3_span code = s3_fault_code(a);
	struct s3_span message = s3_xml_find(fault_of(a), "Message");
	size_t code_len = code.len < 64 ? code.len : 64;
	size_t len = message.len < MESSAGE_MAX ? message.len : MESSAGE_MAX;

	return error_set(err, ST_IO, "%s: %s answers %d%s%.*s%s%.*s: %s", what,
			 s3_client_server(c), a->code, code.len ? " " : "",
			 (int)code_len, code.len ? code.bytes : "", len ? ", " : "",
			 (int)len, len ? message.bytes : "",
			 a->code >= 500 || a->code == 429
			     ? "the server is busy or has a fault; try again later"
			     : "is it a server of S3? see archive.s3.endpoint");
}

/* ---- all ---- */

/* New ones may be put where they are read from, so that nothing has to end. */
static enum status old_keys_fault(struct s3_span code, const char *what,
				  struct error *err)
{
	return error_set(err, ST_IO,
			 "%s: the server does not take the credentials any more "
			 "(%.*s): put new ones where they come from (they belong "
			 "together), and they are read again",
			 what, code.bytes && code.len < 64 ? (int)code.len : 1,
			 code.bytes && code.len < 64 ? code.bytes : "?");
}

static enum status keys_fault(struct s3_span code, const char *what, struct error *err)
{
	if (is_one_of(code, "SignatureDoesNotMatch")) {
		return error_set(err, ST_CONFIG,
				 "%s: the secret key is not that of the access key: "
				 "check AWS_SECRET_ACCESS_KEY, or "
				 "archive.s3.secret.access.key",
				 what);
	}
	if (is_one_of(code, "InvalidAccessKeyId XAdminUserNotFound")) {
		return error_set(err, ST_CONFIG,
				 "%s: the server does not know the access key: check "
				 "AWS_ACCESS_KEY_ID, or archive.s3.access.key.id, and "
				 "that archive.s3.endpoint is the server it is for",
				 what);
	}
	if (is_one_of(code, "ExpiredToken TokenRefreshRequired")) {
		return error_set(err, ST_IO,
				 "%s: the session token has expired: get new "
				 "credentials (all three belong together) and start "
				 "again with them",
				 what);
	}
	return error_set(err, ST_CONFIG,
			 "%s: the server does not take the session token: check "
			 "AWS_SESSION_TOKEN (unset it where the keys are for good)",
			 what);
}

enum status s3_fault_set(const struct s3_client *c, const struct s3_answer *a,
			 const char *what, const char *permission, struct error *err)
{
	struct s3_span code = s3_fault_code(a);

	if (is_one_of(code, "NoSuchBucket")) {
		return error_set(err, ST_CONFIG,
				 "%s: %s has no bucket %s: make it, or give the right "
				 "name, archive.s3.endpoint or archive.s3.region",
				 what, s3_client_server(c), s3_client_bucket(c));
	}
	if (is_one_of(code, "RequestTimeTooSkewed RequestExpired")) {
		return clock_fault(a, what, err);
	}
	if (is_one_of(code, "SignatureDoesNotMatch InvalidAccessKeyId "
			    "XAdminUserNotFound ExpiredToken "
			    "TokenRefreshRequired InvalidToken")) {
		return s3_client_may_get_keys(c) ? old_keys_fault(code, what, err)
						 : keys_fault(code, what, err);
	}
	if (is_one_of(code, "AuthorizationHeaderMalformed PermanentRedirect "
			    "TemporaryRedirect IllegalLocationConstraintException") ||
	    (a->code >= 300 && a->code < 400) || (a->code == 400 && a->region[0])) {
		return region_fault(c, a, what, err);
	}
	if (a->code == 403 || a->code == 401) {
		return error_set(
		    err, s3_client_may_get_keys(c) ? ST_IO : ST_CONFIG,
		    "%s: access denied: the credentials need %s there (see "
		    "docs/archive.md, S3)",
		    what, permission);
	}
	return other_fault(c, a, what, err);
}
