/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/config_provider.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/buffer.h"
#include "src/config/property_file.h"

#define FILE_MAX 65536 /* bytes: a secret, or a certificate */

struct reference {
	const char *setting;
	char *provider, *path, *key; /* path is NULL for env */
	struct buffer *to;
};

/* ---- providers ---- */

static enum status add_variable(const struct reference *r, struct error *err)
{
	const char *value = getenv(r->key);

	if (!value) {
		return error_set(err, ST_CONFIG,
				 "%s: the environment has no variable %s", r->setting,
				 r->key);
	}
	buffer_add_str(r->to, value);
	return ST_OK;
}

struct file_key {
	const struct reference *reference;
	struct buffer value; /* the last one counts */
	bool is_there;
};

static enum status take_key(void *context, const char *key, const char *value,
			    unsigned line, struct error *err)
{
	struct file_key *wanted = context;

	(void)line;
	(void)err;
	if (strcmp(key, wanted->reference->key) == 0) {
		buffer_reset(&wanted->value);
		buffer_add_str(&wanted->value, value);
		wanted->is_there = true;
	}
	return ST_OK;
}

static enum status add_from_properties(const struct reference *r, struct error *err)
{
	struct file_key wanted = {.reference = r};
	enum status status;

	buffer_init(&wanted.value);
	status = property_file_load(r->path, take_key, &wanted, err);
	if (status != ST_OK) {
		(void)error_wrap(err, "%s", r->setting);
	} else if (!wanted.is_there) {
		status = error_set(err, ST_CONFIG, "%s: %s has no key %s", r->setting,
				   r->path, r->key);
	} else {
		buffer_add(r->to, wanted.value.bytes, wanted.value.len);
	}
	buffer_clear(&wanted.value);
	return status;
}

static enum status add_file(const struct reference *r, struct error *err)
{
	char bytes[FILE_MAX];
	char *path;
	FILE *file;
	size_t len;

	if (asprintf(&path, "%s/%s", r->path, r->key) < 0) {
		return error_no_memory(err, "the configuration");
	}
	file = fopen(path, "re");
	if (!file) {
		(void)error_set(err, ST_CONFIG, "%s: %s: %s", r->setting, path,
				strerror(errno));
		free(path);
		return err->status;
	}
	len = fread(bytes, 1, sizeof bytes, file);
	(void)fclose(file);
	if (len == sizeof bytes || memchr(bytes, '\0', len)) {
		(void)error_set(err, ST_CONFIG, "%s: %s is no file with a value",
				r->setting, path);
		free(path);
		return err->status;
	}
	free(path);
	len -= len > 0 && bytes[len - 1] == '\n';
	buffer_add(r->to, bytes, len);
	return ST_OK;
}

/* ---- the text ---- */

static enum status add_reference(struct reference *r, struct error *err)
{
	if (strcmp(r->provider, "env") == 0 && !r->path) {
		return add_variable(r, err);
	}
	if (strcmp(r->provider, "file") == 0 && r->path) {
		return add_from_properties(r, err);
	}
	if (strcmp(r->provider, "directory") == 0 && r->path) {
		return add_file(r, err);
	}
	return error_set(err, ST_CONFIG,
			 "%s: ${%s:…} must be ${env:NAME}, ${file:PATH:KEY} or "
			 "${directory:PATH:NAME}",
			 r->setting, r->provider);
}

/* What stands between "${" and "}": PROVIDER:KEY or PROVIDER:PATH:KEY. */
static enum status resolve_one(const char *setting, const char *text, size_t len,
			       struct buffer *to, struct error *err)
{
	struct reference r = {.setting = setting, .to = to};
	char *copy = strndup(text, len);
	char *colon = copy ? strchr(copy, ':') : NULL;
	enum status status;

	if (!copy) {
		return error_no_memory(err, "the configuration");
	}
	r.provider = copy;
	r.key = copy + len;
	if (colon) {
		char *last = strrchr(colon + 1, ':');

		*colon = '\0';
		r.key = last ? last + 1 : colon + 1;
		r.path = last ? colon + 1 : NULL;
		if (last) {
			*last = '\0';
		}
	}
	status = add_reference(&r, err);
	free(copy);
	return status;
}

enum status config_provider_resolve(const char *setting, const char *value, char **out,
				    struct error *err)
{
	struct buffer text;
	enum status status = ST_OK;

	buffer_init(&text);
	while (status == ST_OK && *value) {
		const char *begin = strstr(value, "${");
		const char *end = begin ? strchr(begin, '}') : NULL;

		if (!end) {
			buffer_add_str(&text, value);
			break;
		}
		buffer_add(&text, value, (size_t)(begin - value));
		status = resolve_one(setting, begin + 2, (size_t)(end - begin - 2),
				     &text, err);
		value = end + 1;
	}
	buffer_add_char(&text, '\0');
	if (status == ST_OK && !buffer_ok(&text)) {
		status = error_no_memory(err, "the configuration");
	}
	if (status != ST_OK) {
		buffer_clear(&text);
		return status;
	}
	*out = text.bytes;
	return ST_OK;
}
