/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/config/config_provider.h -- values that stand somewhere else, so that no secret
 * has to be in a configuration or on a command line.
 *
 * As Kafka's own providers write them, anywhere in a value:
 *
 *     ${env:NAME}             an environment variable
 *     ${file:PATH:KEY}        a key of a .properties file
 *     ${directory:PATH:NAME}  the whole of a file, without the newline at its end
 *
 * THREADS  Any, while nobody changes the environment.
 * ERRORS   ST_CONFIG: names the setting and what is not there; never a value. ST_NOMEM.
 */
#ifndef CONFIG_PROVIDER_H
#define CONFIG_PROVIDER_H

#include "src/base/status.h"

/* `value` with its references replaced; the caller frees it. `setting` is for
 * messages. */
enum status config_provider_resolve(const char *setting, const char *value, char **out,
				    struct error *err) MUST_CHECK;

#endif
