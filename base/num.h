/* SPDX-License-Identifier: MIT */
/* Numbers as people write them in a configuration: "4096", "64KiB", "60s". Strict, no surprises. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

/* All return false, and leave *ret alone, for anything but a whole number in [0, max]. */
bool num_parse(const char *text, uint64_t max, uint64_t *ret);

/* Bytes: no unit, "B", "KiB", "MiB" or "GiB". */
bool num_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes);

/* Milliseconds: the unit is required, one of "ms", "s", "min", "h". */
bool num_parse_duration(const char *text, uint64_t max_ms, uint64_t *ret_ms);

/* NULL, or what is wrong with the unit behind the digits of a size or a duration. */
const char *num_size_unit_error(const char *text);
const char *num_duration_unit_error(const char *text);

#endif
