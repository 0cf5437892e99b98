/* SPDX-License-Identifier: MIT */
/*
 * Every key of the configuration file, in one table: from it come the parser, the messages, the
 * defaults and the comparison at a reload; test_config holds the manual page against it.
 */
#ifndef DAEMON_CONFIG_KEYS_H
#define DAEMON_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/num.h"

#define CONFIG_ERROR_TEXT_MAX 160

enum config_type {
	CONFIG_TEXT,
	CONFIG_NUMBER, /* from `min` to `max`, with one of the units in `words` unless that is NULL
			*/
	CONFIG_WORD,   /* one of `words` */
	CONFIG_MODE    /* octal permission bits, all of them within `max` */
};

struct config_key {
	const char *section, *name;
	size_t offset, size; /* in the struct of its section; size 0: not stored */
	enum config_type type;
	uint64_t min, max;
	const struct num_word *words;
	const char *(*check)(const char *value); /* of a text: NULL, or what is wrong with it */
	uint64_t preset;                         /* the default of all but texts */
	const char *preset_text;                 /* NULL: an empty text */
	const char *of_type; /* the types of section that have it: "egd or raw"; NULL: each */
	const char
		*required; /* NULL: optional; else what it is, for the error when it is missing */
};

/* Ends with a NULL section; fewer than 64. */
extern const struct config_key config_keys[];

/* Returns NULL when a section has no such key. */
const struct config_key *config_key_find(const char *section, const char *name);

/* Stores a value in the struct of its section. False with the error, and nothing is stored. */
bool config_key_parse(const struct config_key *key, void *object, const char *value,
		      char ret_error[static CONFIG_ERROR_TEXT_MAX]);

/* Writes what a value can be: "1..100", "1s..24h", "yes or no"; of a text nothing. */
#define CONFIG_RANGE_MAX 80
void config_key_range(const struct config_key *key, char ret[static CONFIG_RANGE_MAX]);

/* Writes the default as a file would have it; "" when there is none, or 0. */
void config_key_preset(const struct config_key *key, char ret[static CONFIG_RANGE_MAX]);

/* All keys of a section, in its struct: sets the defaults, compares, copies. */
void config_keys_preset(const char *section, void *object);
bool config_keys_equal(const char *section, const void *a, const void *b);
void config_keys_copy(const char *section, void *to, const void *from);

#endif
