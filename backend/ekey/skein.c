/* SPDX-License-Identifier: MIT */
#include "backend/ekey/skein.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/secret.h"

#define KEY_PARITY UINT64_C(0x5555555555555555) /* v1.1 and v1.2; v1.3 changed it */

/* Tweak word 1: type of the input, and first/final block of it. */
#define TYPE_KEY ((uint64_t)0 << 56)
#define TYPE_CONFIG ((uint64_t)4 << 56)
#define TYPE_PERSONAL ((uint64_t)8 << 56)
#define TYPE_MESSAGE ((uint64_t)48 << 56)
#define TYPE_OUTPUT ((uint64_t)63 << 56)
#define FLAG_FIRST ((uint64_t)1 << 62)
#define FLAG_FINAL ((uint64_t)1 << 63)

static inline uint64_t
rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

/* clang-format off */
#define MIX(a, b, r) (x##a += x##b, x##b = rotl(x##b, r) ^ x##a)
/* Two rounds: the pairs are (0,1)(2,3), then (0,3)(2,1). */
#define ROUNDS(r0, r1, r2, r3) (MIX(0, 1, r0), MIX(2, 3, r1), MIX(0, 3, r2), MIX(2, 1, r3))
#define SUBKEY(s)                                                                                  \
	(x0 += k[(s) % 5], x1 += k[((s) + 1) % 5] + t[(s) % 3],                                    \
	 x2 += k[((s) + 2) % 5] + t[((s) + 1) % 3], x3 += k[((s) + 3) % 5] + (s))
/* Eight rounds, with the v1.1 rotations; s is odd. */
#define EIGHT(s)                                                                                   \
	(ROUNDS(5, 56, 36, 28), ROUNDS(13, 46, 58, 44), SUBKEY(s),                                 \
	 ROUNDS(26, 20, 53, 35), ROUNDS(11, 42, 59, 50), SUBKEY((s) + 1))
/* clang-format on */

void
threefish256_encrypt(const uint64_t key[static 4], const uint64_t tweak[static 2],
		     uint64_t block[static 4])
{
	const uint64_t k[5] = {key[0], key[1], key[2], key[3],
			       key[0] ^ key[1] ^ key[2] ^ key[3] ^ KEY_PARITY};
	const uint64_t t[3] = {tweak[0], tweak[1], tweak[0] ^ tweak[1]};
	uint64_t x0 = block[0], x1 = block[1], x2 = block[2], x3 = block[3];

	SUBKEY(0);
	EIGHT(1);
	EIGHT(3);
	EIGHT(5);
	EIGHT(7);
	EIGHT(9);
	EIGHT(11);
	EIGHT(13);
	EIGHT(15);
	EIGHT(17);
	block[0] = x0;
	block[1] = x1;
	block[2] = x2;
	block[3] = x3;
}

/* One UBI step: chain = E(chain, tweak, block) ^ block. */
static void
ubi(struct skein_state *state, uint64_t position, uint64_t type_and_flags,
    const uint8_t block[static SKEIN_LEN])
{
	const uint64_t tweak[2] = {position, type_and_flags};
	uint64_t words[4];

	for (int i = 0; i < 4; i++)
		words[i] = load_le64(block + 8 * i);
	threefish256_encrypt(state->chain, tweak, words);
	for (int i = 0; i < 4; i++)
		state->chain[i] = words[i] ^ load_le64(block + 8 * i);
	secret_wipe(words, sizeof(words)); /* of the last block: a key, or a pad */
}

static void
ubi_config(struct skein_state *state)
{
	/* "SHA3", version 1, 256 bits of output, no tree. */
	static const uint8_t config[SKEIN_LEN] = {'S', 'H', 'A', '3', 1, [9] = 1};

	ubi(state, SKEIN_LEN, TYPE_CONFIG | FLAG_FIRST | FLAG_FINAL, config);
}

static void
skein_begin_type(struct skein *s, const struct skein_state *from, uint64_t type)
{
	s->state = *from;
	s->type_and_flags = type | FLAG_FIRST;
	s->done = 0;
	s->held_len = 0;
}

void
skein_state_mac(const uint8_t *key, size_t key_len, struct skein_state *ret)
{
	static const struct skein_state zero;
	struct skein s;
	uint8_t chain[SKEIN_LEN];

	*ret = zero;
	if (key_len > 0) {
		skein_begin_type(&s, &zero, TYPE_KEY);
		skein_update(&s, key, key_len);
		skein_final_pad(&s, chain);
		for (int i = 0; i < 4; i++)
			ret->chain[i] = load_le64(chain + 8 * i);
		secret_wipe(chain, sizeof(chain));
	}
	ubi_config(ret);
}

void
skein_state_keyed(const uint8_t *key, size_t key_len, const uint8_t personal[static 64],
		  struct skein_state *ret)
{
	skein_state_mac(key, key_len, ret);
	ubi(ret, SKEIN_LEN, TYPE_PERSONAL | FLAG_FIRST, personal);
	ubi(ret, 2 * SKEIN_LEN, TYPE_PERSONAL, personal + SKEIN_LEN);
}

void
skein_begin(struct skein *s, const struct skein_state *from)
{
	skein_begin_type(s, from, TYPE_MESSAGE);
}

static void
skein_block(struct skein *s, const uint8_t block[static SKEIN_LEN], size_t real_len)
{
	s->done += real_len;
	ubi(&s->state, s->done, s->type_and_flags, block);
	s->type_and_flags &= ~FLAG_FIRST;
}

void
skein_update(struct skein *s, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		size_t n = SKEIN_LEN - s->held_len;

		if (n == 0) {
			skein_block(s, s->held, SKEIN_LEN);
			s->held_len = 0;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(s->held + s->held_len, at, n);
		s->held_len += n;
		at += n;
		len -= n;
	}
}

/* The last block, zero-padded; the chaining value is then complete. */
static void
skein_close(struct skein *s)
{
	memset(s->held + s->held_len, 0, SKEIN_LEN - s->held_len);
	s->type_and_flags |= FLAG_FINAL;
	skein_block(s, s->held, s->held_len);
}

static void
skein_give(struct skein *s, uint8_t ret[static SKEIN_LEN])
{
	for (int i = 0; i < 4; i++)
		store_le64(ret + 8 * i, s->state.chain[i]);
	secret_wipe(s, sizeof(*s));
}

void
skein_final_pad(struct skein *s, uint8_t ret[static SKEIN_LEN])
{
	skein_close(s);
	skein_give(s, ret);
}

void
skein_final(struct skein *s, uint8_t ret[static SKEIN_LEN])
{
	static const uint8_t counter[SKEIN_LEN];

	skein_close(s);
	ubi(&s->state, 8, TYPE_OUTPUT | FLAG_FIRST | FLAG_FINAL, counter);
	skein_give(s, ret);
}
