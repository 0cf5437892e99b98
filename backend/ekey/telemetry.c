/* SPDX-License-Identifier: MIT */
#include "backend/ekey/telemetry.h"

#include <string.h>

#include "lib/bytes.h"

/* Below this the key's own estimate means nothing yet; ekeyd waits for as many. */
#define SHANNON_BYTES_MIN 100

static const struct badness {
	char letter;
	const char *text;
} badnesses[] = {
	{'0', "no failure"},
	{'1', "left generator not random"},
	{'2', "right generator not random"},
	{'3', "generators are correlated"},
	{'4', "left generator biased"},
	{'5', "right generator biased"},
	{'7', "temperature too low"},
	{'8', "temperature too high"},
	{'9', "too many FIPS 140-2 failures"},
	{'A', "voltage too low"},
	{'B', "voltage too high"},
	{'\0', "unknown failure"},
};

static bool
take_char(struct cursor *in, uint8_t expected)
{
	const uint8_t *at;

	return in->left > 0 && *in->at == expected && cursor_take(in, 1, &at);
}

static bool
take_number(struct cursor *in, uint32_t *ret)
{
	const uint8_t *at;
	size_t start_left = in->left;
	uint64_t n = 0;

	while (in->left > 0 && *in->at >= '0' && *in->at <= '9') {
		cursor_take(in, 1, &at);
		n = n * 10 + (uint64_t)(*at - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)n;
	return in->left < start_left;
}

/* `count` numbers with colons between them. */
static bool
take_numbers(struct cursor *in, size_t count, uint32_t *ret)
{
	for (size_t i = 0; i < count; i++)
		if ((i > 0 && !take_char(in, ':')) || !take_number(in, &ret[i]))
			return false;
	return true;
}

static bool
take_fips(struct cursor *in, struct telemetry *t)
{
	uint32_t n[5];

	if (!take_numbers(in, 5, n))
		return false;
	t->fips_blocks = n[0];
	t->fips_fails = n[1];
	t->fips_monobit = n[2];
	t->fips_poker = n[3];
	t->fips_runs = n[4];
	return true;
}

/* The key gives the sum over `bytes`; too few of them leave the last good figure. */
static void
shannon_per_byte(uint32_t sum, uint32_t bytes, uint32_t *centi)
{
	uint64_t value = bytes > SHANNON_BYTES_MIN ? (uint64_t)sum * 100 / bytes : *centi;

	*centi = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static bool
take_raw(struct cursor *in, struct telemetry *t)
{
	uint32_t n[8];
	const uint8_t *badness;

	if (!take_numbers(in, 8, n) || !take_char(in, ':') || !cursor_take(in, 1, &badness) ||
	    *badness == ' ')
		return false;
	t->raw_bytes = n[0];
	shannon_per_byte(n[1], n[0], &t->shannon_left_centi);
	shannon_per_byte(n[2], n[0], &t->shannon_right_centi);
	shannon_per_byte(n[3], n[0], &t->shannon_xor_centi);
	t->debiased_left_bytes = n[4];
	shannon_per_byte(n[5], n[4], &t->debiased_left_shannon_centi);
	t->debiased_right_bytes = n[6];
	shannon_per_byte(n[7], n[6], &t->debiased_right_shannon_centi);
	t->badness = (char)*badness;
	return true;
}

/* A kind from a later firmware is ignored. */
static bool
skip_block(struct cursor *in)
{
	const uint8_t *at;

	while (in->left > 0 && *in->at != ' ')
		cursor_take(in, 1, &at);
	return true;
}

static bool
take_block(struct cursor *in, struct telemetry *t)
{
	const uint8_t *letter;

	cursor_take(in, 1, &letter);
	switch (*letter) {
	case 'T':
		return t->have_temperature = take_number(in, &t->temp_decikelvin);
	case 'V':
		return t->have_voltage = take_number(in, &t->voltage_mv);
	case 'F':
		return t->have_fips = take_fips(in, t);
	case 'S':
		return t->have_raw = take_raw(in, t);
	}
	return skip_block(in);
}

bool
telemetry_parse(struct telemetry *t, const uint8_t *text, size_t len)
{
	struct cursor in = cursor_over(text, len);
	struct telemetry next = *t;

	while (in.left > 0) {
		if (take_char(&in, ' '))
			continue;
		if (!take_block(&in, &next) || (in.left > 0 && *in.at != ' '))
			return false;
	}
	*t = next;
	return true;
}

const char *
telemetry_badness_text(char badness)
{
	const struct badness *b = badnesses;

	while (b->letter != badness && b->letter != '\0')
		b++;
	return b->text;
}
