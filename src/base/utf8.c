/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/utf8.h"

#include <string.h>

size_t utf8_cut(const char *text, size_t len, size_t max)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t cut = len < max ? len : max;
	size_t start = cut;
	bool valid;

	/* The sequence that the cut may go through begins at most three bytes before.
	 */
	while (start > 0 && cut - start < 3 && (s[start - 1] & 0xC0) == 0x80) {
		start--;
	}
	if (start > 0 && s[start - 1] >= 0xC0) {
		start--;
		if (start + utf8_step(s + start, s + len, &valid) > cut || !valid) {
			return start;
		}
	}
	return cut;
}

/* Characters that are not shown but steer what is. */
static bool is_steering(uint32_t c)
{
	static const uint32_t ranges[][2] = {
	    {0x00, 0x1F},       /* C0 */
	    {0x7F, 0x9F},       /* DEL, C1 */
	    {0x061C, 0x061C},   /* Arabic letter mark */
	    {0x200E, 0x200F},   /* left-to-right and right-to-left mark */
	    {0x2028, 0x202E},   /* separators; embeddings and overrides */
	    {0x2060, 0x206F},   /* invisible operators; isolates */
	    {0xFEFF, 0xFEFF},   /* byte order mark */
	    {0xFFF9, 0xFFFB},   /* annotations */
	    {0xE0000, 0xE0FFF}, /* tags, selectors */
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		if (c >= ranges[i][0] && c <= ranges[i][1]) {
			return true;
		}
	}
	return false;
}

void utf8_make_safe(char *text)
{
	const uint8_t *from = (const uint8_t *)text;
	const uint8_t *end = from + strlen(text);
	char *to = text;

	while (from < end) {
		bool valid;
		size_t len = utf8_step(from, end, &valid);

		if (!valid || is_steering(utf8_code_point(from, len))) {
			*to++ = '?';
		} else {
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = '\0';
}

const char *utf8_short(const char *name, char out[UTF8_NAME_SIZE])
{
	static const char mark[] = "\xe2\x80\xa6"; /* … */
	size_t len = strnlen(name, UTF8_NAME_SIZE);

	if (len < UTF8_NAME_SIZE) {
		return name;
	}
	len = utf8_cut(name, len, UTF8_NAME_SIZE - sizeof mark);
	memcpy(out, name, len);
	memcpy(out + len, mark, sizeof mark);
	return out;
}
