/* SPDX-License-Identifier: MIT */
#include "tests/sim/stream.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define DECIMAL_MAX 20 /* digits of 2^64 */

bool
stream_init(struct stream *s, const char *seed, uint64_t first_block)
{
	*s = (struct stream){.next = first_block, .random_used = sizeof(s->random)};
	if (seed == NULL)
		return true;
	if (strlen(seed) > STREAM_SEED_MAX)
		return false;
	s->prefix_len = (size_t)snprintf(s->message, sizeof(s->message), "ekeysim:%s:E:", seed);
	s->hash = EVP_MD_CTX_new();
	return s->hash != NULL && EVP_DigestInit_ex2(s->hash, EVP_sha256(), NULL) == 1;
}

void
stream_finish(struct stream *s)
{
	EVP_MD_CTX_free(s->hash);
	*s = (struct stream){0};
}

/* Writes `n` at `at` without snprintf, which would cost as much as the hash. Returns the length. */
static size_t
decimal(uint64_t n, char *at)
{
	char digits[DECIMAL_MAX];
	size_t len = 0;

	do {
		digits[DECIMAL_MAX - ++len] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	memcpy(at, digits + DECIMAL_MAX - len, len);
	return len;
}

static bool
stream_seeded(struct stream *s, uint8_t ret[static STREAM_BLOCK_LEN])
{
	size_t len = s->prefix_len + decimal(s->next, s->message + s->prefix_len);

	/* The context keeps its algorithm: a new one for every block would dominate the cost. */
	return EVP_DigestInit_ex2(s->hash, NULL, NULL) == 1 &&
	       EVP_DigestUpdate(s->hash, s->message, len) == 1 &&
	       EVP_DigestFinal_ex(s->hash, ret, NULL) == 1;
}

static bool
stream_random(struct stream *s, uint8_t ret[static STREAM_BLOCK_LEN])
{
	if (s->random_used == sizeof(s->random)) {
		for (size_t at = 0; at < sizeof(s->random); at += 256)
			if (getrandom(s->random + at, 256, 0) != 256)
				return false;
		s->random_used = 0;
	}
	memcpy(ret, s->random + s->random_used, STREAM_BLOCK_LEN);
	s->random_used += STREAM_BLOCK_LEN;
	return true;
}

bool
stream_next(struct stream *s, uint8_t ret[static STREAM_BLOCK_LEN])
{
	bool good = s->hash != NULL ? stream_seeded(s, ret) : stream_random(s, ret);

	s->next += good;
	return good;
}

bool
stream_derive(const char *seed, const char *name, uint8_t ret[static 32])
{
	char message[STREAM_SEED_MAX + 40];
	int len = snprintf(message, sizeof(message), "ekeysim:%s:%s", seed, name);

	return len < (int)sizeof(message) &&
	       EVP_Digest(message, (size_t)len, ret, NULL, EVP_sha256(), NULL) == 1;
}
