/* SPDX-License-Identifier: MIT */
/*
 * Skein-256-256 version 1.1 (2008), as the Entropy Key computes it; doc/protocol.md 3.1 to 3.4.
 * Later versions have other constants and cannot stand in. Verified against the device's own
 * frames.
 */
#ifndef BACKEND_EKEY_SKEIN_H
#define BACKEND_EKEY_SKEIN_H

#include <stddef.h>
#include <stdint.h>

#define SKEIN_LEN 32 /* bytes of a block, a chaining value and a result */

/* A chaining value from which messages can start: 4 words, secret when it came from a key. */
struct skein_state {
	uint64_t chain[4];
};

/* A hash in progress. Wiped by both finals. */
struct skein {
	struct skein_state state;
	uint64_t type_and_flags; /* tweak word 1 of the next block */
	uint64_t done;           /* message bytes in processed blocks */
	uint8_t held[SKEIN_LEN]; /* a full block waits here until more bytes or the end come */
	size_t held_len;
};

/* The state of the keyed hash, Skein-MAC: no personalisation. Without a key: of the plain hash. */
void skein_state_mac(const uint8_t *key, size_t key_len, struct skein_state *ret);

/*
 * The device's keyed state: `key`, the configuration block, then the first 64 of the
 * 96 personalisation bytes without a final block (the firmware drops the rest;
 * doc/protocol.md 3.3).
 */
void skein_state_keyed(const uint8_t *key, size_t key_len, const uint8_t personal[static 64],
		       struct skein_state *ret);

/* A message: begin once, update in any pieces, end with one of the finals. */
void skein_begin(struct skein *s, const struct skein_state *from);
void skein_update(struct skein *s, const void *bytes, size_t len);

/* With the output transform. */
void skein_final(struct skein *s, uint8_t ret[static SKEIN_LEN]);

/* Without it: the chaining value itself ("Final_Pad"). */
void skein_final_pad(struct skein *s, uint8_t ret[static SKEIN_LEN]);

/* One block of Threefish-256 v1.1, in place; exposed for the known-answer test. */
void threefish256_encrypt(const uint64_t key[static 4], const uint64_t tweak[static 2],
			  uint64_t block[static 4]);

#endif
