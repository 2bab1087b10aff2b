/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_properties.c -- any bytes as a --config file.
 *
 * Parsed, and set in a config as far as it is accepted. Errors must have a text.
 */
#include <stdlib.h>
#include <string.h>

#include "src/config/property_file.h"
#include "src/config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status set(void *context, const char *key, const char *value, unsigned line,
		       struct error *err)
{
	struct error refused = {.text = ""};

	(void)err;
	if (line == 0) {
		abort();
	}
	/* Unknown keys are no reason to look no further. */
	if (config_set(context, CONFIG_FILE, "f:1: ", key, value, &refused) != ST_OK &&
	    !refused.text[0]) {
		abort();
	}
	return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	struct error err = {.text = ""};

	config_init(&config);
	if (property_file_parse("f", (const char *)data, size, set, &config, &err) !=
		ST_OK &&
	    !err.text[0]) {
		abort();
	}
	if (config_finish(&config, &err) == ST_OK) {
		if (!config.database_path || !config.database_name ||
		    !config.encoder.topic_prefix || !config.encoder.topic_prefix[0] ||
		    !config.encoder.topic_delimiter ||
		    !config.encoder.topic_transaction) {
			abort();
		}
	} else if (!err.text[0]) {
		abort();
	}
	config_clear(&config);
	return 0;
}
