/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/quote.h"
#include "src/base/text.h"

#define LETTERS     "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS      "0123456789"
#define BUCKET_MAX  255u
#define SCHEME_TEXT "://"

void s3_address_clear(struct s3_address *address)
{
	free(address->server);
	free(address->base);
	*address = (struct s3_address){0};
}

/* Older buckets, and other servers, have capitals and underscores, too. */
static bool is_bucket(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= BUCKET_MAX && strchr(LETTERS CAPITALS DIGITS, *name) &&
	       strspn(name, LETTERS CAPITALS DIGITS "-._") == len &&
	       !strstr(name, "..");
}

/* Part of the name of a host at AWS. */
static bool is_region(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 63 &&
	       strspn(name, LETTERS CAPITALS DIGITS "-_") == len;
}

/* Of "HOST:PORT", with the port of the scheme left out, as libcurl leaves it out. */
static size_t host_len(const char *host, bool is_tls)
{
	const char *port = is_tls ? ":443" : ":80";
	size_t len = strlen(host);

	while (len > 0 && host[len - 1] == '/') {
		len--;
	}
	if (len > strlen(port) &&
	    strncmp(host + len - strlen(port), port, strlen(port)) == 0) {
		len -= strlen(port);
	}
	return len;
}

/* Can the bucket be a part of the name of a host? */
static bool may_be_in_host(const char *bucket)
{
	return !strpbrk(bucket, "._" CAPITALS);
}

static enum status set_endpoint(struct s3_address *address, const char *endpoint,
				bool in_host, const char *bucket, struct error *err)
{
	bool is_tls = strncasecmp(endpoint, "https://", 8) == 0;
	bool is_plain = strncasecmp(endpoint, "http://", 7) == 0;
	const char *host = endpoint + (is_tls ? 8 : 7);
	size_t len = is_tls || is_plain ? host_len(host, is_tls) : 0;

	/* Nothing but a host: what stands before an @ may be a password. */
	if (len == 0 || strcspn(host, "/?#@\\ ") < len) {
		return error_set(err, ST_CONFIG,
				 "archive.s3.endpoint must be http://HOST:PORT or "
				 "https://HOST:PORT, without a user or a path");
	}
	if (in_host && !may_be_in_host(bucket)) {
		return error_set(err, ST_CONFIG,
				 "archive.s3.bucket.in.host: the bucket %s cannot be "
				 "part of the name of a host, for its capitals, '.' or "
				 "'_': leave that property out",
				 quote(bucket).text);
	}
	if (asprintf(&address->server, "%s%s%s%.*s", is_tls ? "https://" : "http://",
		     in_host ? bucket : "", in_host ? "." : "", (int)len, host) < 0) {
		address->server = NULL;
	}
	if (asprintf(&address->base, "%s%s", in_host ? "" : "/",
		     in_host ? "" : bucket) < 0) {
		address->base = NULL;
	}
	return ST_OK;
}

static enum status set_aws(struct s3_address *address, const char *region,
			   const char *bucket, struct error *err)
{
	const char *end = strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
	bool in_host = may_be_in_host(bucket);
	int len;

	if (!is_region(region)) {
		return error_set(err, ST_CONFIG,
				 "%s is no region of AWS: set archive.s3.region to one "
				 "like eu-central-1",
				 quote(region).text);
	}
	len = in_host ? asprintf(&address->server, "https://%s.s3.%s.amazonaws.com%s",
				 bucket, region, end)
		      : asprintf(&address->server, "https://s3.%s.amazonaws.com%s",
				 region, end);
	if (len < 0) {
		address->server = NULL;
	}
	if (asprintf(&address->base, "%s%s", in_host ? "" : "/",
		     in_host ? "" : bucket) < 0) {
		address->base = NULL;
	}
	return ST_OK;
}

enum status s3_address_init(struct s3_address *address, const char *endpoint,
			    bool in_host, const char *region, const char *bucket,
			    struct error *err)
{
	enum status status;

	*address = (struct s3_address){0};
	if (!is_bucket(bucket)) {
		return error_set(err, ST_CONFIG,
				 "%s is no name of a bucket: give s3://BUCKET/PREFIX, "
				 "BUCKET of letters, digits, '-' and '.'",
				 quote(bucket).text);
	}
	status = endpoint ? set_endpoint(address, endpoint, in_host, bucket, err)
			  : set_aws(address, region, bucket, err);
	if (status == ST_OK && (!address->server || !address->base)) {
		status = error_no_memory(err, "an archive");
	}
	if (status != ST_OK) {
		s3_address_clear(address);
		return status;
	}
	address->host = strstr(address->server, SCHEME_TEXT) + strlen(SCHEME_TEXT);
	return ST_OK;
}
