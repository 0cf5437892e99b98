/* SPDX-License-Identifier: MIT */
/* The device's keys, from the printed one down to the session's. doc/protocol.md 3.5. */
#ifndef TESTS_SIM_KEYS_H
#define TESTS_SIM_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/keyed.h"

struct keys_identity {
	uint8_t serial[KEYED_SERIAL_LEN];
	uint8_t ltk[KEYED_SECRET_LEN];    /* long-term key */
	uint8_t master[KEYED_SECRET_LEN]; /* printed on the card; never changes */
};

/* Secret. */
struct keys {
	struct keys_identity identity;
	struct keyed mac,
		pad; /* of the session; without one, the MAC key is of zeros: a checksum */
	bool in_session;
	bool unlocked; /* a nonce with this MAC may change the long-term key */
	uint8_t nonce_mac[KEYED_MAC_LEN];
};

void keys_init(struct keys *k, const struct keys_identity *identity);

/* Back to the key of zeros, and locked. */
void keys_forget_session(struct keys *k);

/* A new session from the device's 32 bytes and the host's nonce. */
void keys_start_session(struct keys *k, const uint8_t device[static 32], const uint8_t *nonce,
			size_t nonce_len);

void keys_unlock(struct keys *k, const uint8_t nonce_mac[static KEYED_MAC_LEN]);

/* Is this the nonce that was announced? One try: the lock falls shut whatever comes of it. */
enum keys_proof { KEYS_PROVEN, KEYS_LOCKED, KEYS_MISMATCH };
enum keys_proof keys_prove(struct keys *k, const uint8_t *nonce, size_t nonce_len);

/* Replaces the long-term key; the session goes on. */
void keys_change_long_term(struct keys *k, const uint8_t device[static 32], const uint8_t *nonce,
			   size_t nonce_len);

#endif
