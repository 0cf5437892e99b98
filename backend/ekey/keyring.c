/* SPDX-License-Identifier: MIT */
#include "backend/ekey/keyring.h"

#include <assert.h>
#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/secret.h"

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

static void
skip(struct span *line, size_t len)
{
	line->at += len;
	line->len -= len;
}

/* Takes the next word and the blanks before it; empty at the end of the line. */
static struct span
take_word(struct span *line)
{
	struct span word;

	while (line->len > 0 && is_blank(*line->at))
		skip(line, 1);
	word = (struct span){line->at, 0};
	while (word.len < line->len && !is_blank(line->at[word.len]))
		word.len++;
	skip(line, word.len);
	return word;
}

/* As take_word(), but a comment right behind 44 characters is left in the line. */
static struct span
take_ltk(struct span *line)
{
	struct span rest = *line, word = take_word(&rest);

	if (word.len > LTK_TEXT_LEN && word.at[LTK_TEXT_LEN] == '#')
		word.len = LTK_TEXT_LEN;
	skip(line, (size_t)(word.at + word.len - line->at));
	return word;
}

static const char *
parse_serial(struct span word, uint8_t ret[static KEYED_SERIAL_LEN])
{
	size_t len;

	if (word.len != KEYRING_SERIAL_TEXT_LEN)
		return "the serial number must have 16 characters";
	if (!pem64_decode(word.at, word.len, KEYED_SERIAL_LEN, ret, &len) ||
	    len != KEYED_SERIAL_LEN)
		return "the serial number must be base64 of 12 bytes";
	return NULL;
}

static const char *
parse_ltk(struct span word, uint8_t ret[static KEYED_SECRET_LEN])
{
	uint8_t bytes[KEYED_SECRET_LEN + 1];
	const char *why = NULL;
	size_t len;

	if (word.len == 0)
		return "expected a key after the serial number";
	if (word.len != LTK_TEXT_LEN)
		return "the key must have 44 characters";
	if (!pem64_decode(word.at, word.len, sizeof(bytes), bytes, &len))
		why = "the key must be base64";
	else if (len != KEYED_SECRET_LEN)
		why = "the key must have 32 bytes (a master key is not a long-term key)";
	else
		memcpy(ret, bytes, KEYED_SECRET_LEN);
	secret_wipe(bytes, sizeof(bytes));
	return why;
}

/* Returns ring->len when it is not there. */
static size_t
find_entry(const struct keyring *ring, const uint8_t serial[static KEYED_SERIAL_LEN])
{
	size_t i = 0;

	while (i < ring->len && memcmp(ring->entries[i].serial, serial, KEYED_SERIAL_LEN) != 0)
		i++;
	return i;
}

/* Stores the entry behind the last, which holds the key of the line. */
static const char *
put_entry(struct keyring *ring, bool *ret_ignored)
{
	const struct keyring_entry *entry = &ring->entries[ring->len];
	size_t at = find_entry(ring, entry->serial);

	*ret_ignored = at == KEYRING_MAX;
	if (*ret_ignored)
		return "a keyring holds at most 256 keys";
	if (at == ring->len) {
		ring->len++;
		return NULL;
	}
	memcpy(ring->entries[at].ltk, entry->ltk, sizeof(entry->ltk));
	return "this serial number has a key already: the last one is used";
}

/* Takes a line with a key, or without one. Returns NULL, or the error in it. */
static const char *
parse_line(struct span line, struct keyring *ret, bool *ret_ignored)
{
	struct span serial = take_word(&line), ltk = take_ltk(&line);
	struct keyring_entry *entry;
	const char *why;

	*ret_ignored = true;
	if (serial.len == 0 || serial.at[0] == '#')
		return NULL;
	entry = &ret->entries[ret->len];
	why = parse_serial(serial, entry->serial);
	if (why == NULL)
		why = parse_ltk(ltk, entry->ltk);
	if (why == NULL) {
		why = put_entry(ret, ret_ignored);
		if (why == NULL && take_word(&line).len > 0)
			why = "unexpected text after the key";
	}
	entry = &ret->entries[ret->len]; /* behind the last again */
	secret_wipe(entry, sizeof(*entry));
	return why;
}

static void
note_error(struct keyring_errors *errors, unsigned line, bool ignored, const char *why)
{
	size_t n = errors->count++;

	if (n >= KEYRING_ERRORS_MAX)
		return;
	errors->at[n].line = line;
	errors->at[n].ignored = ignored;
	errors->at[n].why = why;
}

bool
keyring_parse(const char *text, size_t len, struct keyring *ret, struct keyring_errors *ret_errors)
{
	struct span left = {text, len};

	secret_wipe(ret, sizeof(*ret));
	*ret_errors = (struct keyring_errors){0};
	for (unsigned line = 1; left.len > 0; line++) {
		bool ignored;
		const char *why = parse_line(take_line(&left), ret, &ignored);

		if (why != NULL)
			note_error(ret_errors, line, ignored, why);
	}
	return ret_errors->count == 0;
}

const uint8_t *
keyring_find(const struct keyring *ring, const uint8_t serial[static 12])
{
	size_t at = find_entry(ring, serial);

	return at < ring->len ? ring->entries[at].ltk : NULL;
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
