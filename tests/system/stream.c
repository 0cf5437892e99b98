/* SPDX-License-Identifier: MIT */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/stream.h"

#define WORD 8
/* At the joint of two pieces the first may go on by chance: 2^-56 for this many bytes. */
#define CHANCE_MAX 7
/* Loose bytes in a row that short pieces can explain: several of them, each under 15 bytes. */
#define LOOSE_RUN_MAX 63

static void *
need(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		fprintf(stderr, "stream: no memory for %zu bytes\n", count * size);
		exit(2);
	}
	return memory;
}

static uint64_t
word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* The words are hashes already. */
static size_t
slot_of(const struct stream *s, uint64_t word)
{
	return (size_t)(word ^ word >> 32) & s->mask;
}

static void
index_word(struct stream *s, size_t number)
{
	size_t slot = slot_of(s, word_at(s->bytes + number * WORD));

	while (s->index[slot])
		slot = (slot + 1) & s->mask;
	s->index[slot] = (uint32_t)number + 1;
}

void
stream_init(struct stream *s, const char *seed, size_t len)
{
	size_t blocks = len / SHA256_DIGEST_LENGTH, slots = 1;
	char text[256];

	memset(s, 0, sizeof(*s));
	s->len = blocks * SHA256_DIGEST_LENGTH;
	while (slots < s->len / WORD * 2)
		slots *= 2;
	s->mask = slots - 1;
	s->bytes = need(s->len, 1);
	s->taken = need(s->len, 1);
	s->index = need(slots, sizeof(*s->index));
	for (size_t i = 0; i < blocks; i++) {
		int n = snprintf(text, sizeof(text), "ekeysim:%s:E:%zu", seed, i);

		SHA256((const uint8_t *)text, (size_t)n, s->bytes + i * SHA256_DIGEST_LENGTH);
	}
	for (size_t i = 0; i < s->len / WORD; i++)
		index_word(s, i);
}

/* The offset of 8 bytes in the stream, if it is a multiple of 8; else s->len. */
static size_t
find_word(const struct stream *s, const uint8_t *bytes)
{
	uint64_t word = word_at(bytes);
	size_t slot = slot_of(s, word);

	for (; s->index[slot]; slot = (slot + 1) & s->mask) {
		size_t at = (size_t)(s->index[slot] - 1) * WORD;

		if (word_at(s->bytes + at) == word)
			return at;
	}
	return s->len;
}

static void
mark(struct stream *s, size_t from, size_t to)
{
	uint64_t again = 0;

	for (size_t i = from; i < to; i++)
		again += s->taken[i]++ != 0;
	s->located += to - from;
	if (again > CHANCE_MAX)
		s->duplicate += again;
}

static void
note_loose(struct stream *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s->loose_value[bytes[i]]++;
	s->loose += len;
	if (len > LOOSE_RUN_MAX)
		s->foreign += len;
}

void
stream_account(struct stream *s, const uint8_t *read, size_t len)
{
	size_t done = 0; /* everything before is accounted for */

	for (size_t at = 0; at + WORD <= len;) {
		size_t found = find_word(s, read + at), from = found, end = at;

		if (found == s->len) {
			at++;
			continue;
		}
		while (end < len && found < s->len && read[end] == s->bytes[found])
			end++, found++;
		while (at > done && from > 0 && read[at - 1] == s->bytes[from - 1])
			at--, from--;
		note_loose(s, read + done, at - done);
		mark(s, from, found);
		done = at = end;
	}
	note_loose(s, read + done, len - done);
}

bool
stream_loose_fit(const struct stream *s)
{
	uint64_t free_value[256] = {0};

	for (size_t i = 0; i < s->len; i++)
		free_value[s->bytes[i]] += s->taken[i] == 0;
	for (int v = 0; v < 256; v++) {
		if (s->loose_value[v] > free_value[v])
			return false;
	}
	return true;
}
