/* SPDX-License-Identifier: MIT */
/*
 * The Entropy Key's five keyed uses of its hash: frame MAC, entropy pad, session key, long-term
 * key, nonce MAC. doc/protocol.md 3.5. A `struct keyed` is prepared once per secret and used many
 * times.
 */
#ifndef BACKEND_EKEY_KEYED_H
#define BACKEND_EKEY_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/skein.h"

#define KEYED_SERIAL_LEN 12
#define KEYED_SECRET_LEN 32
#define KEYED_MAC_LEN 6

enum keyed_purpose {
	KEYED_SESSION_KEY,   /* secret: long-term key */
	KEYED_FRAME_MAC,     /* secret: session key, or zeros before the first */
	KEYED_ENTROPY_PAD,   /* secret: session key */
	KEYED_LONG_TERM_KEY, /* secret: master key */
	KEYED_NONCE_MAC,     /* secret: master key */
};

/* Secret: keep it in secret memory, or wipe it. */
struct keyed {
	struct skein_state state;
};

void keyed_prepare(struct keyed *k, enum keyed_purpose purpose,
		   const uint8_t serial[static KEYED_SERIAL_LEN],
		   const uint8_t secret[static KEYED_SECRET_LEN]);

/* The first and the last three bytes of Final_Pad. */
void keyed_mac(const struct keyed *k, const void *message, size_t len,
	       uint8_t ret_mac[static KEYED_MAC_LEN]);

/* Final over `a` then `b`: the keys (device's 32 bytes, host's nonce). */
void keyed_derive(const struct keyed *k, const void *a, size_t a_len, const void *b, size_t b_len,
		  uint8_t ret[static SKEIN_LEN]);

/* Final over the two characters of an entropy frame's sub-code: xor it with the payload. */
void keyed_pad(const struct keyed *k, const char subcode[static 2], uint8_t ret[static SKEIN_LEN]);

#endif
