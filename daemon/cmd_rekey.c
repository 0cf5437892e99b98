/* SPDX-License-Identifier: MIT */
#include "daemon/cmd_rekey.h"

#include <string.h>

#include "backend/ekey/pem64.h"
#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "daemon/reload.h"

#define NO_SUCH_KEY "no key with this serial number is plugged in"
#define BAD_WORDS "a serial number and base64 are needed"
#define BUSY "the long-term key of a key is being changed already"
#define GONE "the key was unplugged"
#define NOT_READY "RekeyStart comes first, and this key was not told it, or was unplugged since"

/* ---- words ---- */

/* "SERIAL TEXT", where TEXT is PEM of exactly `len` bytes. */
static bool
parse_order(const char *words, uint8_t serial[static KEYED_SERIAL_LEN], size_t len, uint8_t *ret)
{
	char text[KEYRING_SERIAL_TEXT_LEN + 1] = "";
	size_t got;

	if (strlen(words) != KEYRING_SERIAL_TEXT_LEN + 1 + PEM64_TEXT_LEN(len) ||
	    words[KEYRING_SERIAL_TEXT_LEN] != ' ')
		return false;
	memcpy(text, words, KEYRING_SERIAL_TEXT_LEN);
	return keyring_serial_parse(text, serial) &&
	       pem64_decode(words + KEYRING_SERIAL_TEXT_LEN + 1, PEM64_TEXT_LEN(len), len, ret,
			    &got) &&
	       got == len;
}

/* ---- the change of a long-term key ---- */

static void
reply(struct daemon *d, const char *row, const char *error)
{
	uint64_t ticket = d->rekey.ticket;

	d->rekey.ticket = 0;
	if (ticket != 0)
		ctl_reply(d->control, ticket, row, error);
}

static void
reply_answer(struct daemon *d, const uint8_t answer[static KEYED_SECRET_LEN])
{
	char text[PEM64_TEXT_LEN(KEYED_SECRET_LEN) + 1] = "";

	pem64_encode(answer, KEYED_SECRET_LEN, text);
	reply(d, text, NULL);
}

static void
on_rekey(void *arg, const struct rekey *rekey)
{
	struct daemon *d = arg;
	enum rekey_state state = rekey->state;

	if (state == REKEY_ACCEPTED)
		reply(d, NULL, NULL);
	else if (state == REKEY_CHANGED)
		reply_answer(d, rekey->answer);
	else if (rekey_failed(rekey))
		reply(d, NULL, rekey_state_text(state));
	if (state != REKEY_CLOSED)
		return;
	reply(d, NULL, GONE);
	d->rekey.source = NULL;
}

/* The source that has this key, with the change begun; or NULL. */
static struct source *
begin_rekey(struct daemon *d, const uint8_t serial[static KEYED_SERIAL_LEN],
	    const uint8_t mac[static KEYED_MAC_LEN])
{
	struct source *source;

	for (size_t i = 0; (source = inputs_at(d, i)) != NULL; i++)
		if (source_rekey(source, serial, mac, on_rekey, d))
			return source;
	return NULL;
}

const char *
cmd_rekey_start(void *arg, const struct ctl_request *request)
{
	uint8_t serial[KEYED_SERIAL_LEN], mac[KEYED_MAC_LEN];
	struct daemon *d = arg;

	if (!parse_order(request->words, serial, sizeof(mac), mac))
		return BAD_WORDS;
	if (d->rekey.source != NULL)
		return BUSY;
	d->rekey.ticket = request->ticket;
	d->rekey.source = begin_rekey(d, serial, mac);
	return d->rekey.source != NULL ? ctl_later : NO_SUCH_KEY;
}

const char *
cmd_rekey_finish(void *arg, const struct ctl_request *request)
{
	uint8_t serial[KEYED_SERIAL_LEN], nonce[REKEY_NONCE_LEN];
	struct daemon *d = arg;

	if (!parse_order(request->words, serial, sizeof(nonce), nonce))
		return BAD_WORDS;
	if (d->rekey.source == NULL || d->rekey.ticket != 0 ||
	    !source_rekey_change(d->rekey.source, serial, nonce))
		return NOT_READY;
	d->rekey.ticket = request->ticket;
	return ctl_later;
}

/* ---- the keyring ---- */

const char *
cmd_keyring(void *arg, const struct ctl_request *request)
{
	(void)request;
	return reload_keyring(arg) ? NULL
				   : "the keyring could not be read: the daemon's log says why";
}
