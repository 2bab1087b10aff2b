/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/base/quote.h -- names as messages show them.
 *
 * A name of letters, digits and ./_+:@%,=- stands as it is, any other in single quotes,
 * as a shell reads it: what a message gives as a command can be copied. (Log lines
 * replace control characters, src/base/log.h.)
 *
 * THREADS  Any.
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#define QUOTED_BYTES 600 /* with the NUL; a longer name is cut, and ends with ...' */

struct quoted {
	char text[QUOTED_BYTES];
};

/* For an argument of printf: quote(path).text. In a command a name that begins with -
 * gets ./ before it. */
struct quoted quote(const char *name);

#endif
