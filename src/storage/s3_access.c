/* SPDX-License-Identifier: Apache-2.0 */
#include "src/storage/s3_access.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/quote.h"

/* The setting, or the variable; NULL: neither. */
static const char *given(const char *setting, const char *variable)
{
	const char *value = setting ? setting : getenv(variable);

	return value && *value ? value : NULL;
}

/* What can stand in a header. */
static bool is_printable(const char *text)
{
	for (; text && *text; text++) {
		if (*text <= ' ' || *text > '~') {
			return false;
		}
	}
	return true;
}

static bool are_printable(const struct s3_keys *keys)
{
	return is_printable(keys->access) && is_printable(keys->secret) &&
	       is_printable(keys->token);
}

enum status s3_access_init(struct s3_access *access,
			   const struct storage_settings *settings, const char *bucket,
			   struct error *err)
{
	char *const *set = settings->s3_secrets;
	bool is_set = set[STORAGE_S3_ACCESS] || set[STORAGE_S3_SECRET];

	*access = (struct s3_access){
	    .settings = settings,
	    .bucket = bucket,
	    .keys = {
		.access =
		    given(set[STORAGE_S3_ACCESS], is_set ? "" : "AWS_ACCESS_KEY_ID"),
		.secret = given(set[STORAGE_S3_SECRET],
				is_set ? "" : "AWS_SECRET_ACCESS_KEY"),
		.token =
		    given(set[STORAGE_S3_TOKEN], is_set ? "" : "AWS_SESSION_TOKEN"),
	    }};
	if (!access->keys.access || !access->keys.secret) {
		return error_set(
		    err, ST_CONFIG,
		    "s3://%s: there are no credentials: set AWS_ACCESS_KEY_ID and "
		    "AWS_SECRET_ACCESS_KEY in the environment, or "
		    "archive.s3.access.key.id and archive.s3.secret.access.key",
		    quote(bucket).text);
	}
	if (!are_printable(&access->keys)) {
		return error_set(err, ST_CONFIG,
				 "s3://%s: the credentials have blanks or characters "
				 "that none have: give them as they were issued, "
				 "without a newline",
				 quote(bucket).text);
	}
	return ST_OK;
}

static void forget(char *secrets[STORAGE_S3_SECRETS])
{
	for (size_t i = 0; i < STORAGE_S3_SECRETS; i++) {
		if (secrets[i]) {
			explicit_bzero(secrets[i], strlen(secrets[i]));
			free(secrets[i]);
			secrets[i] = NULL;
		}
	}
}

void s3_access_clear(struct s3_access *access)
{
	forget(access->renewed);
}

bool s3_access_may_change(const struct s3_access *access)
{
	for (size_t i = 0; i < STORAGE_S3_SECRETS; i++) {
		if (access->settings->s3_references[i]) {
			return true;
		}
	}
	return false;
}

/* What the references name now; false: not all of it can be had. */
static bool resolve(const struct storage_settings *settings,
		    char *secrets[STORAGE_S3_SECRETS])
{
	struct error ignored;

	for (size_t i = 0; i < STORAGE_S3_SECRETS; i++) {
		const char *reference = settings->s3_references[i];

		if (reference && settings->s3_resolve("", reference, &secrets[i],
						      &ignored) != ST_OK) {
			return false;
		}
	}
	return true;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool s3_access_renew(struct s3_access *access)
{
	const struct storage_settings *settings = access->settings;
	char *found[STORAGE_S3_SECRETS] = {0};
	const char **keys[STORAGE_S3_SECRETS] = {
	    [STORAGE_S3_ACCESS] = &access->keys.access,
	    [STORAGE_S3_SECRET] = &access->keys.secret,
	    [STORAGE_S3_TOKEN] = &access->keys.token};
	const char *texts[STORAGE_S3_SECRETS];
	bool is_other = false;

	if (!s3_access_may_change(access)) {
		return false;
	}
	if (!resolve(settings, found)) {
		forget(found);
		return false;
	}
	for (size_t i = 0; i < STORAGE_S3_SECRETS; i++) {
		texts[i] = settings->s3_references[i] ? given(found[i], "") : *keys[i];
		is_other = is_other || !is_same(texts[i], *keys[i]);
	}
	if (!is_other || !texts[STORAGE_S3_ACCESS] || !texts[STORAGE_S3_SECRET] ||
	    !is_printable(texts[STORAGE_S3_ACCESS]) ||
	    !is_printable(texts[STORAGE_S3_SECRET]) ||
	    !is_printable(texts[STORAGE_S3_TOKEN])) {
		forget(found);
		return false;
	}
	for (size_t i = 0; i < STORAGE_S3_SECRETS; i++) {
		*keys[i] = texts[i];
	}
	forget(access->renewed);
	memcpy(access->renewed, found, sizeof found);
	return true;
}
