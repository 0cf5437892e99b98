/* SPDX-License-Identifier: MIT */
#include "ekey/keyring.h"

#include <assert.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/pem64.h"

#define LTK_TEXT_LEN PEM64_TEXT_LEN(KEYED_SECRET_LEN)
static_assert(KEYRING_LINE_LEN == KEYRING_SERIAL_TEXT_LEN + 1 + LTK_TEXT_LEN,
	      "a line is two words");

/* Part of a line; the text is the caller's. */
struct span {
	const char *at;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next line, without its LF or CR LF. */
static struct span
take_line(struct span *text)
{
	const char *lf = memchr(text->at, '\n', text->len);
	struct span line = {text->at, lf != NULL ? (size_t)(lf - text->at) : text->len};
	size_t used = line.len + (lf != NULL);

	text->at += used;
	text->len -= used;
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Takes the next word and the blanks before it; empty at the end of the line. */
static struct span
take_word(struct span *line)
{
	struct span word;

	while (line->len > 0 && is_blank(*line->at)) {
		line->at++;
		line->len--;
	}
	word = (struct span){line->at, 0};
	while (line->len > 0 && !is_blank(*line->at)) {
		line->at++;
		line->len--;
		word.len++;
	}
	return word;
}

static const char *
parse_serial(struct span word, uint8_t ret[static KEYED_SERIAL_LEN])
{
	size_t len;

	if (word.len != KEYRING_SERIAL_TEXT_LEN)
		return "the serial number is not 16 characters long";
	if (!pem64_decode(word.at, word.len, KEYED_SERIAL_LEN, ret, &len) ||
	    len != KEYED_SERIAL_LEN)
		return "the serial number is not base64 of 12 bytes";
	return NULL;
}

static const char *
parse_ltk(struct span word, uint8_t ret[static KEYED_SECRET_LEN])
{
	uint8_t bytes[KEYED_SECRET_LEN + 1];
	const char *why = NULL;
	size_t len;

	if (word.len == 0)
		return "there is no key after the serial number";
	if (word.len != LTK_TEXT_LEN)
		return "the key is not 44 characters long";
	if (!pem64_decode(word.at, word.len, sizeof(bytes), bytes, &len))
		why = "the key is not base64";
	else if (len != KEYED_SECRET_LEN)
		why = "the key is not 32 bytes long (a master key is not a long-term key)";
	else
		memcpy(ret, bytes, KEYED_SECRET_LEN);
	secret_wipe(bytes, sizeof(bytes));
	return why;
}

/* A key, or a line without one; NULL when good, else what is wrong with it. */
static const char *
parse_line(struct span line, struct keyring *ret)
{
	struct span serial = take_word(&line), ltk = take_word(&line);
	struct keyring_entry *entry = &ret->entries[ret->len];
	const char *why;

	if (serial.len == 0 || serial.at[0] == '#')
		return NULL;
	if (ret->len == KEYRING_MAX)
		return "there are more keys than a keyring holds (256)";
	if ((why = parse_serial(serial, entry->serial)) != NULL ||
	    (why = parse_ltk(ltk, entry->ltk)) != NULL)
		return why;
	if (take_word(&line).len > 0)
		return "there is more text after the key";
	if (keyring_find(ret, entry->serial) != NULL)
		return "this serial number has a key already";
	ret->len++;
	return NULL;
}

bool
keyring_parse(const char *text, size_t len, struct keyring *ret, struct keyring_error *ret_error)
{
	struct span left = {text, len};
	const char *why = NULL;
	unsigned line = 0;

	secret_wipe(ret, sizeof(*ret));
	while (left.len > 0 && why == NULL) {
		line++;
		why = parse_line(take_line(&left), ret);
	}
	if (why == NULL)
		return true;
	secret_wipe(ret, sizeof(*ret));
	*ret_error = (struct keyring_error){line, why};
	return false;
}

const uint8_t *
keyring_find(const struct keyring *ring, const uint8_t serial[static 12])
{
	for (size_t i = 0; i < ring->len; i++)
		if (memcmp(ring->entries[i].serial, serial, KEYED_SERIAL_LEN) == 0)
			return ring->entries[i].ltk;
	return NULL;
}

/* ---- writing ---- */

void
keyring_line(const struct keyring_entry *entry, char ret[static KEYRING_LINE_LEN])
{
	pem64_encode(entry->serial, KEYED_SERIAL_LEN, ret);
	ret[KEYRING_SERIAL_TEXT_LEN] = ' ';
	pem64_encode(entry->ltk, KEYED_SECRET_LEN, ret + KEYRING_SERIAL_TEXT_LEN + 1);
}

static bool
is_key_of(struct span line, const uint8_t serial[static KEYED_SERIAL_LEN])
{
	uint8_t found[KEYED_SERIAL_LEN];

	return parse_serial(take_word(&line), found) == NULL &&
	       memcmp(found, serial, KEYED_SERIAL_LEN) == 0;
}

/* Copies the bytes up to `end` and returns what follows the copy. */
static char *
copy_until(char *to, const char *from, const char *end)
{
	memcpy(to, from, (size_t)(end - from));
	return to + (end - from);
}

size_t
keyring_edit(const char *text, size_t len, const struct keyring_entry *entry, char *ret)
{
	struct span left = {text, len};
	char *at = ret;
	bool found = false;

	while (left.len > 0) {
		struct span line = take_line(&left);

		if (is_key_of(line, entry->serial)) {
			keyring_line(entry, at);
			at += KEYRING_LINE_LEN;
			line.at += line.len; /* its end of line stays */
			found = true;
		}
		at = copy_until(at, line.at, left.at);
	}
	if (!found) {
		if (at > ret && at[-1] != '\n')
			*at++ = '\n';
		keyring_line(entry, at);
		at += KEYRING_LINE_LEN;
		*at++ = '\n';
	}
	return (size_t)(at - ret);
}

/* ---- serials ---- */

void
keyring_serial_text(const uint8_t serial[static 12], char ret[static KEYRING_SERIAL_TEXT_LEN + 1])
{
	pem64_encode(serial, KEYED_SERIAL_LEN, ret);
	ret[KEYRING_SERIAL_TEXT_LEN] = '\0';
}

bool
keyring_serial_parse(const char *text, uint8_t ret[static 12])
{
	uint8_t bytes[KEYED_SERIAL_LEN];

	if (parse_serial((struct span){text, strlen(text)}, bytes) != NULL)
		return false;
	memcpy(ret, bytes, sizeof(bytes));
	return true;
}
