/* SPDX-License-Identifier: MIT */
#include "base/num.h"

#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit size_units[] = {
	{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};

static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {NULL, 0}};

/* Digits up to a unit that must be in `units` (ended by a NULL name). */
static bool
num_parse_unit(const char *text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (at == text)
		return false;
	for (; units->name != NULL; units++) {
		if (strcmp(at, units->name) == 0) {
			if (n > max / units->factor)
				return false;
			*ret = n * units->factor;
			return true;
		}
	}
	return false;
}

bool
num_parse(const char *text, uint64_t max, uint64_t *ret)
{
	return num_parse_unit(text, no_units, max, ret);
}

bool
num_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes)
{
	return num_parse_unit(text, size_units, max, ret_bytes);
}

bool
num_parse_duration(const char *text, uint64_t max_ms, uint64_t *ret_ms)
{
	return num_parse_unit(text, duration_units, max_ms, ret_ms);
}

/* Whether digits and then one of the units stand before `end`. */
static bool
num_has_unit(const char *text, const char *end, const struct unit *units)
{
	size_t digits = strspn(text, "0123456789");
	size_t len = (size_t)(end - text) - digits;

	for (; digits > 0 && units->name != NULL; units++)
		if (strlen(units->name) == len && memcmp(text + digits, units->name, len) == 0)
			return true;
	return false;
}

static bool
num_begins_with_digit(const char *text)
{
	return *text >= '0' && *text <= '9';
}

const char *
num_size_unit_error(const char *text)
{
	const char *slash = strchr(text, '/');

	if (!num_begins_with_digit(text) || num_has_unit(text, text + strlen(text), size_units))
		return NULL;
	if (slash != NULL && strcmp(slash, "/s") == 0 && num_has_unit(text, slash, size_units))
		return "the unit is written without /s";
	return "unknown unit: use B, KiB, MiB or GiB";
}

const char *
num_duration_unit_error(const char *text)
{
	if (!num_begins_with_digit(text) || num_has_unit(text, text + strlen(text), duration_units))
		return NULL;
	return "a unit is needed behind the number: use ms, s, min or h";
}
