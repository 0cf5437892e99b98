/* SPDX-License-Identifier: MIT */
#include "backend/ekey/keyed.h"

#include <string.h>

#include "lib/secret.h"

/* Only the first 64 of the 96 characters count (doc/protocol.md 3.3), so two of them are the same.
 */
#define PERSONAL(name) "20090609 support@simtec.co.uk EntropyKey/v1/" name

static const char personal[][65] = {
	[KEYED_SESSION_KEY] = PERSONAL("ReKeyingState       "),
	[KEYED_FRAME_MAC] = PERSONAL("MessageAuthenticatio"),
	[KEYED_ENTROPY_PAD] = PERSONAL("EntropyEncryptionSta"),
	[KEYED_LONG_TERM_KEY] = PERSONAL("LongTermReKeyingStat"),
	[KEYED_NONCE_MAC] = PERSONAL("MessageAuthenticatio"),
};

void
keyed_prepare(struct keyed *k, enum keyed_purpose purpose,
	      const uint8_t serial[static KEYED_SERIAL_LEN],
	      const uint8_t secret[static KEYED_SECRET_LEN])
{
	uint8_t key[KEYED_SERIAL_LEN + KEYED_SECRET_LEN];

	memcpy(key, serial, KEYED_SERIAL_LEN);
	memcpy(key + KEYED_SERIAL_LEN, secret, KEYED_SECRET_LEN);
	skein_state_keyed(key, sizeof(key), (const uint8_t *)personal[purpose], &k->state);
	secret_wipe(key, sizeof(key));
}

void
keyed_mac(const struct keyed *k, const void *message, size_t len,
	  uint8_t ret_mac[static KEYED_MAC_LEN])
{
	struct skein s;
	uint8_t hash[SKEIN_LEN];

	skein_begin(&s, &k->state);
	skein_update(&s, message, len);
	skein_final_pad(&s, hash);
	memcpy(ret_mac, hash, 3);
	memcpy(ret_mac + 3, hash + SKEIN_LEN - 3, 3);
	secret_wipe(hash, sizeof(hash));
}

void
keyed_derive(const struct keyed *k, const void *a, size_t a_len, const void *b, size_t b_len,
	     uint8_t ret[static SKEIN_LEN])
{
	struct skein s;

	skein_begin(&s, &k->state);
	skein_update(&s, a, a_len);
	skein_update(&s, b, b_len);
	skein_final(&s, ret);
}

void
keyed_pad(const struct keyed *k, const char subcode[static 2], uint8_t ret[static SKEIN_LEN])
{
	keyed_derive(k, subcode, 2, "", 0, ret);
}
