/* SPDX-License-Identifier: MIT */
#include "backend/ekey/pem64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of each digit, plus 1; 0 for any other byte. */
static const uint8_t values[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
	['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
	['/'] = 64,
};

void
pem64_encode(const uint8_t *bytes, size_t len, char *ret_text)
{
	for (; len > 0; bytes += 3, ret_text += 4) {
		size_t n = len < 3 ? len : 3;
		uint32_t v = (uint32_t)bytes[0] << 16 | (n > 1 ? (uint32_t)bytes[1] << 8 : 0) |
			     (n > 2 ? (uint32_t)bytes[2] : 0);

		ret_text[0] = digits[v >> 18];
		ret_text[1] = digits[v >> 12 & 63];
		ret_text[2] = n > 1 ? digits[v >> 6 & 63] : '=';
		ret_text[3] = n > 2 ? digits[v & 63] : '=';
		len -= n;
	}
}

/* Above 63 for a byte that is no digit. */
static inline uint32_t
digit_value(char c)
{
	return (uint32_t)values[(uint8_t)c] - 1;
}

/* Decodes a quad of `n` + 1 digits, n = 1..3 bytes; its padding has been checked. */
static inline bool
quad_decode(const char *text, size_t n, uint8_t *ret)
{
	uint32_t a = digit_value(text[0]), b = digit_value(text[1]);
	uint32_t c = n > 1 ? digit_value(text[2]) : 0, d = n > 2 ? digit_value(text[3]) : 0;
	uint32_t v = a << 18 | b << 12 | c << 6 | d;

	if ((a | b | c | d) > 63 || (v & ((1U << (8 * (3 - n))) - 1)) != 0)
		return false; /* no digit, or bits that no encoder sets */
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)(v >> (16 - 8 * i));
	return true;
}

/* Bytes in the last quad: 3 less its padding; a '=' anywhere else is not a digit. */
static size_t
quad_bytes(const char *quad)
{
	if (quad[3] != '=')
		return 3;
	return quad[2] == '=' ? 1 : 2;
}

bool
pem64_decode(const char *text, size_t text_len, size_t cap, uint8_t *ret, size_t *ret_len)
{
	size_t len = 0;

	if (text_len % 4 != 0)
		return false;
	for (; text_len > 4; text += 4, text_len -= 4, len += 3)
		if (cap - len < 3 || !quad_decode(text, 3, ret + len))
			return false;
	if (text_len > 0) {
		size_t n = quad_bytes(text);

		if (cap - len < n || !quad_decode(text, n, ret + len))
			return false;
		len += n;
	}
	*ret_len = len;
	return true;
}

void
pem64_subcode_encode(unsigned value, char ret_text[static 2])
{
	ret_text[0] = digits[value & 63];
	ret_text[1] = digits[value >> 6 & 63];
}

bool
pem64_subcode_decode(const char text[static 2], unsigned *ret_value)
{
	uint8_t low = values[(uint8_t)text[0]], high = values[(uint8_t)text[1]];

	if (low == 0 || high == 0)
		return false;
	*ret_value = (unsigned)(low - 1) | (unsigned)(high - 1) << 6;
	return true;
}
