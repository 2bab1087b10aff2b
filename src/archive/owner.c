/* SPDX-License-Identifier: Apache-2.0 */
#include "src/archive/owner.h"

#include <stdio.h>
#include <string.h>

#include "src/archive/when.h"
#include "src/base/buffer.h"
#include "src/base/clock.h"
#include "src/base/quote.h"
#include "src/base/time_text.h"

#define NOTE_BYTES   1024
#define WRITER_CHARS 32
#define NOTES        1000 /* so often an archive may be taken over */
#define TAKE_OVER    "archive.take.over=true"

struct note_name {
	char text[32];
};

static struct note_name note_name(unsigned number)
{
	struct note_name name;

	if (number == 1) {
		(void)snprintf(name.text, sizeof name.text, "rowtail.json");
	} else {
		(void)snprintf(name.text, sizeof name.text, "rowtail-%u.json", number);
	}
	return name;
}

/* Who wrote the note: "" if it does not say. */
static enum status get_writer(const struct owner *owner, unsigned number,
			      char writer[WRITER_CHARS + 1], struct error *err)
{
	char note[NOTE_BYTES + 1];
	size_t len = 0;
	const char *at;
	enum status status = storage_get_note(owner->storage, note_name(number).text,
					      note, NOTE_BYTES, &len, err);

	*writer = '\0';
	if (status != ST_OK) {
		return status;
	}
	note[len] = '\0';
	at = strstr(note, "\"writer\":\"");
	if (at) {
		at += strlen("\"writer\":\"");
		if (strspn(at, "0123456789abcdef") == WRITER_CHARS) {
			memcpy(writer, at, WRITER_CHARS);
			writer[WRITER_CHARS] = '\0';
		}
	}
	return ST_OK;
}

/* A name as JSON text has it. */
static void add_name(struct buffer *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f) {
			char escaped[8];

			(void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
			buffer_add_str(out, escaped);
		} else {
			buffer_add_char(out, (char)c);
		}
	}
}

static enum status put_note(struct owner *owner, unsigned number, struct error *err)
{
	struct buffer note;
	enum status status;

	buffer_init(&note);
	buffer_add_str(&note, "{\"rowtail\":1,\"writer\":\"");
	buffer_add_str(&note, owner->writer);
	buffer_add_str(&note, "\",\"database\":\"");
	add_name(&note, owner->database);
	buffer_add_str(&note, "\",\"since\":\"");
	buffer_add_str(&note, time_text_ms(clock_wall_ns()).text);
	buffer_add_str(&note, "\"}\n");
	status = !buffer_ok(&note)
		     ? error_no_memory(err, "the archive")
		     : storage_put_note(owner->storage, note_name(number).text,
					note.bytes, note.len, err);
	buffer_clear(&note);
	if (status == ST_OK) {
		owner->number = number;
		owner->is_ours = true;
	}
	return status;
}

static enum status refuse(const struct owner *owner, unsigned last, struct error *err)
{
	struct quoted location = quote(owner->location);

	if (last == 0) {
		return error_set(
		    err, ST_CONFIG,
		    "%s has files that rowtail did not write (Litestream's?), and two "
		    "must not write to one archive: use another --archive, or, if "
		    "nobody writes to this one any more, " TAKE_OVER,
		    location.text);
	}
	return error_set(
	    err, ST_CONFIG,
	    "%s is the archive of another state directory (%s says so), and "
	    "two must not write to one archive: use that --state or another "
	    "--archive, or, if that one is gone for good, " TAKE_OVER,
	    location.text, note_name(last).text);
}

enum status owner_find(struct owner *owner, bool has_files, struct error *err)
{
	char writer[WRITER_CHARS + 1] = "";
	unsigned last = 0;
	enum status status = ST_OK;

	while (last < NOTES) {
		char next[WRITER_CHARS + 1];

		status = get_writer(owner, last + 1, next, err);
		if (status != ST_OK) {
			break;
		}
		last++;
		memcpy(writer, next, sizeof writer);
	}
	if (status != ST_END) {
		return status == ST_OK
			   ? error_set(err, ST_CONFIG, "%s has too many notes",
				       quote(owner->location).text)
			   : status;
	}
	owner->number = last;
	owner->is_ours = last > 0 && strcmp(writer, owner->writer) == 0;
	return !owner->is_ours && (last > 0 || has_files) && !owner->takes_over
		   ? refuse(owner, last, err)
		   : ST_OK;
}

enum status owner_take(struct owner *owner, struct error *err)
{
	return owner->is_ours ? ST_OK : put_note(owner, owner->number + 1, err);
}

enum status owner_check_next(const struct owner *owner, struct error *err)
{
	char writer[WRITER_CHARS + 1];
	enum status status = get_writer(owner, owner->number + 1, writer, err);

	if (status == ST_END) {
		return ST_OK;
	}
	return status == ST_OK
		   ? error_set(err, ST_CONFIG,
			       "%s was taken over by another state directory",
			       quote(owner->location).text)
		   : status;
}

enum status owner_check(const struct owner *owner, struct error *err)
{
	char writer[WRITER_CHARS + 1];
	enum status status = get_writer(owner, owner->number, writer, err);

	if (status == ST_OK && strcmp(writer, owner->writer) == 0) {
		return owner_check_next(owner, err);
	}
	if (status == ST_OK || status == ST_END) {
		return error_set(err, ST_CONFIG,
				 "%s is not what it was (%s has gone): start rowtail "
				 "again, which then archives the whole database",
				 quote(owner->location).text,
				 note_name(owner->number).text);
	}
	return status;
}
