/* SPDX-License-Identifier: MIT */
/* Numbers as people write them in a configuration: "4096", "64KiB", "60s". Strict, no surprises. */
#ifndef LIB_NUM_H
#define LIB_NUM_H

#include <stdbool.h>
#include <stdint.h>

/* A word that stands for a number; of a unit the factor. Lists of them end with a NULL name. */
struct num_word {
	const char *name;
	uint64_t value;
};

extern const struct num_word num_sizes[], num_times[];

/* All return false, and leave *ret alone, for anything but a whole number in [0, max]. */
bool num_parse(const char *text, uint64_t max, uint64_t *ret);

/* With one of `units` behind the digits; num_sizes has one without a name: it can be left out. */
bool num_parse_unit(const char *text, const struct num_word *units, uint64_t max, uint64_t *ret);

/* Milliseconds: the unit is required, one of "ms", "s", "min", "h". */
bool num_parse_duration(const char *text, uint64_t max_ms, uint64_t *ret_ms);

#endif
