/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/secret.h"
#include "crypto/pem64.h"
#include "ekey/session_internal.h"

#define NONCE_COUNTER_LEN 4
#define NONCE_RANDOM_LEN (SESSION_NONCE_LEN - NONCE_COUNTER_LEN)
#define NONCE_TEXT_LEN PEM64_TEXT_LEN(SESSION_NONCE_LEN)

/*
 * A counter, so that no nonce of this session comes twice, then randomness, so that none can be
 * foreseen. Little-endian on every host.
 */
static bool
make_nonce(struct session *s)
{
	if (!s->env->random(s->env->random_arg, s->nonce + NONCE_COUNTER_LEN, NONCE_RANDOM_LEN))
		return false;
	for (int i = 0; i < NONCE_COUNTER_LEN; i++)
		s->nonce[i] = (uint8_t)(s->nonce_count >> (8 * i));
	s->nonce_count++;
	return true;
}

bool
session_keys_ask(struct session *s)
{
	char command[1 + NONCE_TEXT_LEN + 1] = {'K'};

	if (!make_nonce(s))
		return false;
	pem64_encode(s->nonce, SESSION_NONCE_LEN, command + 1);
	command[sizeof(command) - 1] = '.';
	if (!session_queue(s, command, sizeof(command)))
		return false;
	s->counters.nonces++;
	return true;
}

static void
adopt(struct session *s, const uint8_t key[static KEYED_SECRET_LEN])
{
	keyed_prepare(&s->mac_key, KEYED_FRAME_MAC, s->serial, key);
	keyed_prepare(&s->pad_key, KEYED_ENTROPY_PAD, s->serial, key);
	s->have_pad = true;
	s->proven = false;
	s->suspect = false;
	s->unverified = 0;
	s->last_sequence = -1;
	s->counters.rekeys++;
}

bool
session_keys_answer(struct session *s, const uint8_t device[static KEYED_SECRET_LEN])
{
	const uint8_t *ltk = keyring_find(*s->env->keyring, s->serial);
	struct keyed derivation;
	uint8_t key[KEYED_SECRET_LEN];

	if (ltk == NULL)
		return false;
	keyed_prepare(&derivation, KEYED_SESSION_KEY, s->serial, ltk);
	keyed_derive(&derivation, device, KEYED_SECRET_LEN, s->nonce, sizeof(s->nonce), key);
	adopt(s, key);
	secret_wipe(&derivation, sizeof(derivation));
	secret_wipe(key, sizeof(key));
	secret_wipe(s->nonce, sizeof(s->nonce));
	return true;
}

void
session_keys_drop(struct session *s)
{
	secret_wipe(&s->pad_key, sizeof(s->pad_key));
	secret_wipe(s->nonce, sizeof(s->nonce));
	s->mac_key = s->zero_mac_key;
	s->have_pad = false;
	s->proven = false;
	s->suspect = false;
	s->last_sequence = -1;
	s->unverified = 0;
}
