/* SPDX-License-Identifier: MIT */
/* Every key of the configuration file, in one table: what the parser knows and the manual says. */
#ifndef DAEMON_CONFIG_KEYS_H
#define DAEMON_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"

struct config_key {
	const char *section, *name;
	/* Stores `value` in its `size` bytes; NULL, or what is wrong with it and nothing stored. */
	const char *(*parse)(void *field, size_t size, const char *value);
	/* In struct config; for [source] and [device] in their own structs. Size 0: only checked.
	 */
	size_t offset, size;
	bool required;
	const char *help;
};

/* Ends with a NULL section; fewer than 64. */
extern const struct config_key config_keys[];

/* NULL when a section has no such key. */
const struct config_key *config_key_find(const char *section, const char *name);

/* What holds where the file says nothing. */
void config_defaults(struct config *config);
void config_source_defaults(struct source_config *source);
void config_device_defaults(struct device_config *device);
void config_listen_defaults(struct egd_listen_config *listen);

#endif
