/* SPDX-License-Identifier: MIT */
#include "lib/tls/psk.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/hex.h"
#include "lib/secret.h"

/* One line, without its newline. */
struct psk_line {
	const char *at;
	size_t len;
};

/* Finds the next line that is neither empty nor a comment; `*number` counts all lines. */
static bool
psk_next(struct cursor *text, unsigned *number, struct psk_line *ret)
{
	while (text->left > 0) {
		const uint8_t *at = NULL, *end = memchr(text->at, '\n', text->left);
		size_t len = end != NULL ? (size_t)(end - text->at) : text->left;

		cursor_take(text, len + (end != NULL), &at);
		++*number;
		if (len > 0 && at[0] != '#') {
			*ret = (struct psk_line){(const char *)at, len};
			return true;
		}
	}
	return false;
}

/* Counts the characters before the first colon; without one, all. */
static size_t
psk_identity_len(const struct psk_line *line)
{
	const char *colon = memchr(line->at, ':', line->len);

	return colon != NULL ? (size_t)(colon - line->at) : line->len;
}

/* Decodes `len` digits into ret->key. NULL, or the fault. */
static const char *
psk_parse_key(const char *hex, size_t len, struct psk *ret)
{
	if (len < 2 * PSK_KEY_MIN)
		return "the key is too short: expected at least 32 hexadecimal digits";
	if (len > 2 * PSK_KEY_MAX)
		return "the key is too long";
	if (len % 2 != 0)
		return "the key has an odd number of digits";
	if (!hex_decode(hex, len / 2, ret->key))
		return "the key is not hexadecimal";
	ret->key_len = len / 2;
	return NULL;
}

static const char *
psk_parse(const struct psk_line *line, struct psk *ret)
{
	size_t len = psk_identity_len(line);

	if (len == line->len)
		return "expected identity:hexkey";
	if (len == 0 || len > PSK_IDENTITY_MAX)
		return "the identity must have 1 to 128 characters";
	for (size_t i = 0; i < len; i++)
		if (line->at[i] <= ' ' || line->at[i] > '~')
			return "the identity must be printable ASCII without blanks";
	memcpy(ret->identity, line->at, len);
	ret->identity[len] = '\0';
	return psk_parse_key(line->at + len + 1, line->len - len - 1, ret);
}

bool
psk_check(const char *text, size_t len, struct psk_error *ret_error)
{
	struct cursor in = cursor_over(text, len);
	struct psk_error error = {0};
	struct psk_line line;
	struct psk psk;
	unsigned good = 0;

	while (error.why == NULL && psk_next(&in, &error.line, &line)) {
		error.why = psk_parse(&line, &psk);
		good++;
	}
	secret_wipe(&psk, sizeof(psk));
	if (error.why == NULL && good == 0)
		error = (struct psk_error){1, "the file has no key"};
	if (error.why != NULL)
		*ret_error = error;
	return error.why == NULL;
}

bool
psk_find(const char *text, size_t len, const char *identity, size_t identity_len, struct psk *ret)
{
	struct cursor in = cursor_over(text, len);
	struct psk_line line;
	unsigned number = 0;

	while (psk_next(&in, &number, &line)) {
		if (identity != NULL && (psk_identity_len(&line) != identity_len ||
					 memcmp(line.at, identity, identity_len) != 0))
			continue;
		if (psk_parse(&line, ret) == NULL)
			return true;
	}
	secret_wipe(ret, sizeof(*ret));
	return false;
}
