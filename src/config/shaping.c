/* SPDX-License-Identifier: Apache-2.0 */
#include "src/config/shaping.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "src/config/property_table.h"
#include "src/config/property_value.h"

#define ORDER_VERSION "1" /* of the messages of a transaction */

#define SALT_MARK    ".with.salt."
#define DIGEST_SHOWN 8 /* bytes of it */

/* ---- the text ---- */

static void add_escaped(struct buffer *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\\' || c == '\n' || c == '\r') {
			buffer_add_char(out, '\\');
			c = c == '\n' ? 'n' : c == '\r' ? 'r' : c;
		}
		buffer_add_char(out, c);
	}
}

static void add_line(struct buffer *out, const char *name, const char *value)
{
	buffer_add_str(out, name);
	buffer_add_char(out, '=');
	add_escaped(out, value, strlen(value));
	buffer_add_char(out, '\n');
}

/* A column's mask; of one with a salt, which is in the name, the name up to it. */
static bool add_mask(struct buffer *out, const struct column_option *mask)
{
	const char *salt = strstr(mask->property, SALT_MARK);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len;

	if (!salt) {
		add_line(out, mask->property, mask->columns);
		return true;
	}
	salt += strlen(SALT_MARK);
	if (EVP_Digest(salt, strlen(salt), digest, &digest_len, EVP_sha256(), NULL) !=
	    1) {
		return false;
	}
	add_escaped(out, mask->property, (size_t)(salt - mask->property));
	buffer_add_str(out, "*=");
	add_escaped(out, mask->columns, strlen(mask->columns));
	buffer_add_str(out, " (salt #");
	for (size_t i = 0; i < DIGEST_SHOWN; i++) {
		buffer_add_char(out, "0123456789abcdef"[digest[i] >> 4]);
		buffer_add_char(out, "0123456789abcdef"[digest[i] & 15]);
	}
	buffer_add_str(out, ")\n");
	return true;
}

/* The masks of all families in one order, as the first that names a column counts. */
static bool add_masks(const struct config *config, struct buffer *out)
{
	bool ok = true;

	for (size_t i = 0; ok && i < config->columns.mask_count; i++) {
		const struct column_option *mask = &config->columns.masks[i];

		if (property_at(property_find(mask->property))->shapes) {
			ok = add_mask(out, mask);
		}
	}
	return ok;
}

/* By name: their order means nothing. */
static void add_overrides(const struct config *config, struct buffer *out)
{
	const struct select_overrides *all = &config->overrides;
	const char *after = "";

	for (size_t n = 0; n < all->count; n++) {
		const struct select_override *next = NULL;

		for (size_t i = 0; i < all->count; i++) {
			const struct select_override *o = &all->list[i];

			if (strcasecmp(o->table, after) > 0 &&
			    (!next || strcasecmp(o->table, next->table) < 0)) {
				next = o;
			}
		}
		if (!next) {
			return;
		}
		after = next->table;
		buffer_add_str(out, SELECT_OVERRIDE_PREFIX);
		add_line(out, next->table, next->sql);
	}
}

static void add_transforms(const struct config *config, struct buffer *out)
{
	const struct transform_options *all = &config->transforms;

	for (size_t i = 0; i < all->count; i++) {
		buffer_add_str(out, TRANSFORMS_PREFIX);
		add_line(out, all->options[i].key, all->options[i].value);
	}
}

static void add_property(const struct config *config, const struct property *property,
			 struct buffer *value, struct buffer *out)
{
	buffer_reset(value);
	/* Events have only the last part of the path. */
	if (property->type == TAKES_PATH) {
		add_line(out, property->name, config->database_name);
	} else if (property_value_add(config, property, value)) {
		buffer_add_char(value, '\0');
		out->failed |= !buffer_ok(value);
		add_line(out, property->name, buffer_ok(value) ? value->bytes : "");
	}
}

bool shaping_add(const struct config *config, struct buffer *out)
{
	struct buffer value;
	bool ok = true;

	buffer_init(&value);
	add_line(out, "order.version", ORDER_VERSION);
	for (size_t i = 0; ok && i < property_count(); i++) {
		const struct property *property = property_at(i);

		if (property->shapes && property->field_size > 0) {
			add_property(config, property, &value, out);
		} else if (property->shapes && property->family == FAMILY_OVERRIDES) {
			add_overrides(config, out);
		} else if (property->shapes && property->family == FAMILY_TRANSFORMS) {
			add_transforms(config, out);
		}
	}
	ok = add_masks(config, out);
	buffer_clear(&value);
	return ok;
}

uint64_t shaping_hash(const char *text, size_t len)
{
	return XXH3_64bits(text, len);
}

/* ---- two texts ---- */

struct line {
	const char *name; /* "" in the last one */
	size_t name_len;
	const char *value;
	size_t value_len;
	const char *next;
};

static struct line line_at(const char *text)
{
	struct line line = {.name = text};
	size_t len = strcspn(text, "\n");
	const char *equals = memchr(text, '=', len);

	line.name_len = equals ? (size_t)(equals - text) : len;
	line.value = equals ? equals + 1 : text + len;
	line.value_len = (size_t)(text + len - line.value);
	line.next = text + len + (text[len] == '\n');
	return line;
}

static bool same_name(const struct line *a, const struct line *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* The line of `text` with the name of `like` and as many of that name before it as
 * `like` has in its own text; false: there is none. */
static bool find_line(const char *text, const char *own, const struct line *like,
		      struct line *out)
{
	size_t before = 0;

	for (struct line line; own < like->name; own = line.next) {
		line = line_at(own);
		before += same_name(&line, like);
	}
	for (; *text; text = out->next) {
		*out = line_at(text);
		if (same_name(out, like) && before-- == 0) {
			return true;
		}
	}
	return false;
}

bool shaping_find(const char *text, const char *name, struct buffer *value)
{
	for (struct line line; *text; text = line.next) {
		line = line_at(text);
		if (line.name_len == strlen(name) &&
		    memcmp(line.name, name, line.name_len) == 0) {
			buffer_add(value, line.value, line.value_len);
			return true;
		}
	}
	return false;
}

/* As NUL-terminated texts. */
static bool tell_line(const struct line *line, const struct line *was,
		      const struct line *is, shaping_tell *tell, void *context)
{
	char *name = strndup(line->name, line->name_len);
	char *before = was ? strndup(was->value, was->value_len) : NULL;
	char *now = is ? strndup(is->value, is->value_len) : NULL;
	bool ok = name && (!was || before) && (!is || now);

	if (ok) {
		tell(context, name, before, now);
	}
	free(name);
	free(before);
	free(now);
	return ok;
}

size_t shaping_compare(const char *was, const char *is, shaping_tell *tell,
		       void *context)
{
	size_t count = 0;
	struct line line, other;
	bool ok = true;

	for (const char *p = was; ok && *p; p = line.next) {
		bool found;

		line = line_at(p);
		found = find_line(is, was, &line, &other);
		if (!found || line.value_len != other.value_len ||
		    memcmp(line.value, other.value, line.value_len) != 0) {
			ok = tell_line(&line, &line, found ? &other : NULL, tell,
				       context);
			count++;
		}
	}
	for (const char *p = is; ok && *p; p = line.next) {
		line = line_at(p);
		if (!find_line(was, is, &line, &other)) {
			ok = tell_line(&line, NULL, &line, tell, context);
			count++;
		}
	}
	return ok ? count : SIZE_MAX;
}
