/* SPDX-License-Identifier: MIT */
#include "lib/num.h"

#include <stddef.h>
#include <string.h>

static const struct num_word no_units[] = {{"", 1}, {NULL, 0}};

const struct num_word num_sizes[] = {
	{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};

const struct num_word num_times[] = {
	{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {NULL, 0}};

bool
num_parse_unit(const char *text, const struct num_word *units, uint64_t max, uint64_t *ret)
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
			if (n > max / units->value)
				return false;
			*ret = n * units->value;
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
num_parse_duration(const char *text, uint64_t max_ms, uint64_t *ret_ms)
{
	return num_parse_unit(text, num_times, max_ms, ret_ms);
}
