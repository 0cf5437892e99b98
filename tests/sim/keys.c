/* SPDX-License-Identifier: MIT */
#include "tests/sim/keys.h"

#include <string.h>

#include "lib/secret.h"

void
keys_init(struct keys *k, const struct keys_identity *identity)
{
	k->identity = *identity;
	keys_forget_session(k);
}

void
keys_forget_session(struct keys *k)
{
	static const uint8_t zero[KEYED_SECRET_LEN];

	keyed_prepare(&k->mac, KEYED_FRAME_MAC, k->identity.serial, zero);
	secret_wipe(&k->pad, sizeof(k->pad));
	k->in_session = k->unlocked = false;
}

/* The key that follows from `secret`, the device's bytes and the host's. */
static void
keys_derive(const struct keys *k, enum keyed_purpose purpose, const uint8_t *secret,
	    const uint8_t device[static 32], const uint8_t *nonce, size_t nonce_len,
	    uint8_t ret[static KEYED_SECRET_LEN])
{
	struct keyed state;

	keyed_prepare(&state, purpose, k->identity.serial, secret);
	keyed_derive(&state, device, 32, nonce, nonce_len, ret);
	secret_wipe(&state, sizeof(state));
}

void
keys_start_session(struct keys *k, const uint8_t device[static 32], const uint8_t *nonce,
		   size_t nonce_len)
{
	uint8_t key[KEYED_SECRET_LEN];

	keys_derive(k, KEYED_SESSION_KEY, k->identity.ltk, device, nonce, nonce_len, key);
	keyed_prepare(&k->mac, KEYED_FRAME_MAC, k->identity.serial, key);
	keyed_prepare(&k->pad, KEYED_ENTROPY_PAD, k->identity.serial, key);
	secret_wipe(key, sizeof(key));
	k->in_session = true;
}

void
keys_unlock(struct keys *k, const uint8_t nonce_mac[static KEYED_MAC_LEN])
{
	memcpy(k->nonce_mac, nonce_mac, sizeof(k->nonce_mac));
	k->unlocked = true;
}

enum keys_proof
keys_prove(struct keys *k, const uint8_t *nonce, size_t nonce_len)
{
	struct keyed state;
	uint8_t mac[KEYED_MAC_LEN];

	if (!k->unlocked)
		return KEYS_LOCKED;
	k->unlocked = false;
	keyed_prepare(&state, KEYED_NONCE_MAC, k->identity.serial, k->identity.master);
	keyed_mac(&state, nonce, nonce_len, mac);
	secret_wipe(&state, sizeof(state));
	return secret_equal(mac, k->nonce_mac, sizeof(mac)) ? KEYS_PROVEN : KEYS_MISMATCH;
}

void
keys_change_long_term(struct keys *k, const uint8_t device[static 32], const uint8_t *nonce,
		      size_t nonce_len)
{
	keys_derive(k, KEYED_LONG_TERM_KEY, k->identity.master, device, nonce, nonce_len,
		    k->identity.ltk);
}
