/* SPDX-License-Identifier: MIT */
#include "backend/ekey/rekey.h"

#include <string.h>

#include "backend/ekey/packet.h"
#include "backend/ekey/pem64.h"
#include "lib/secret.h"

#define RESET_COMMAND 0x03
#define LOCKED_WORD "locked"

/* ---- deadlines ---- */

/* How long each state lasts without the frame that it waits for; 0: no limit. */
static const unsigned timeouts_ms[] = {
	[REKEY_RESETTING] = REKEY_SERIAL_MS, [REKEY_UNLOCKING] = REKEY_UNLOCK_MS,
	[REKEY_ACCEPTED] = REKEY_HOLD_MS,    [REKEY_CHANGING] = REKEY_CHANGE_MS,
	[REKEY_CHANGED] = REKEY_HOLD_MS,     [REKEY_ABANDONED] = 0,
};

static void
enter(struct rekey *r, enum rekey_state state, uint64_t now_ms)
{
	r->state = state;
	r->deadline_ms = timeouts_ms[state] > 0 ? now_ms + timeouts_ms[state] : UINT64_MAX;
}

uint64_t
rekey_deadline(const struct rekey *r)
{
	return r->state == REKEY_CLOSED ? UINT64_MAX : r->deadline_ms;
}

/* ---- sending ---- */

/* A command is alone in the queue: it replaces the one before. */
static void
send_reset(struct rekey *r, uint64_t now_ms)
{
	r->send[0] = RESET_COMMAND;
	r->send_len = 1;
	r->tries++;
	enter(r, REKEY_RESETTING, now_ms);
}

static void
send_mac(struct rekey *r, uint64_t now_ms)
{
	r->send[0] = 'M';
	pem64_encode(r->mac, sizeof(r->mac), (char *)r->send + 1);
	r->send_len = 1 + PEM64_TEXT_LEN(KEYED_MAC_LEN); /* no end mark: doc/protocol.md 2 */
	enter(r, REKEY_UNLOCKING, now_ms);
}

static void
send_nonce(struct rekey *r, uint64_t now_ms)
{
	r->send[0] = 'L';
	pem64_encode(r->nonce, sizeof(r->nonce), (char *)r->send + 1);
	r->send[1 + PEM64_TEXT_LEN(REKEY_NONCE_LEN)] = '.';
	r->send_len = 1 + PEM64_TEXT_LEN(REKEY_NONCE_LEN) + 1;
	r->risked = true;
	enter(r, REKEY_CHANGING, now_ms);
}

/* Resets again, or fails with `why`, or as lost when the device may have changed its key. */
static void
retry(struct rekey *r, enum rekey_state why, uint64_t now_ms)
{
	if (r->tries < REKEY_TRIES)
		send_reset(r, now_ms);
	else
		enter(r, why == REKEY_SILENT && r->risked ? REKEY_LOST : why, now_ms);
}

const uint8_t *
rekey_send(struct rekey *r, size_t *ret_len)
{
	*ret_len = r->send_len;
	r->send_len = 0;
	return *ret_len > 0 ? r->send : NULL;
}

/* ---- frames ---- */

static void
identified(struct rekey *r, const struct packet *p, uint64_t now_ms)
{
	if (memcmp(p->payload, r->serial, sizeof(r->serial)) == 0)
		send_mac(r, now_ms);
	else
		enter(r, REKEY_OTHER, now_ms);
}

static void
unlocked(struct rekey *r, uint64_t now_ms)
{
	if (r->have_nonce)
		send_nonce(r, now_ms);
	else
		enter(r, REKEY_ACCEPTED, now_ms);
}

/* If the device took another length than our nonce's, its key cannot be known. */
static void
changed(struct rekey *r, const struct packet *p, uint64_t now_ms)
{
	if (p->subcode != REKEY_NONCE_LEN) {
		retry(r, REKEY_SILENT, now_ms);
		return;
	}
	memcpy(r->answer, p->payload, sizeof(r->answer));
	enter(r, REKEY_CHANGED, now_ms);
}

static void
refused(struct rekey *r, const struct packet *p, uint64_t now_ms)
{
	/* Locked: M did not arrive as we sent it, or another reset came between. */
	if (memmem(p->payload, p->len, LOCKED_WORD, strlen(LOCKED_WORD)) != NULL)
		retry(r, REKEY_LOCKED, now_ms);
	else
		enter(r, REKEY_REFUSED, now_ms);
}

/* k and I frames come all the time, S may come twice: they are ignored. */
static void
answered(struct rekey *r, const struct packet *p, uint64_t now_ms)
{
	switch (p->type) {
	case 'M':
		if (r->state == REKEY_UNLOCKING)
			unlocked(r, now_ms);
		break;
	case 'L':
		if (r->state == REKEY_CHANGING)
			changed(r, p, now_ms);
		break;
	case 'l':
		refused(r, p, now_ms);
		break;
	case 'W': /* the device did not understand: the command was damaged */
		retry(r, REKEY_SILENT, now_ms);
		break;
	case 'B':
		enter(r, REKEY_BROKEN, now_ms);
		break;
	}
}

static void
take_frame(struct rekey *r, const uint8_t frame[static FRAME_LEN], uint64_t now_ms)
{
	struct packet p;
	struct keyed key;

	if (r->state == REKEY_RESETTING) {
		if (packet_open_serial(frame, &key, &p))
			identified(r, &p, now_ms);
	} else if (r->state == REKEY_UNLOCKING || r->state == REKEY_CHANGING) {
		if (packet_open(frame, &r->zero_key, &p) == PACKET_OK)
			answered(r, &p, now_ms);
	}
}

bool
rekey_take(struct rekey *r, struct cursor *in, uint64_t now_ms)
{
	enum rekey_state before = r->state;
	const uint8_t *frame;

	while (r->state == before && (frame = framer_next(&r->framer, in)) != NULL)
		take_frame(r, frame, now_ms);
	return r->state != before;
}

/* ---- life ---- */

void
rekey_open(struct rekey *r, const uint8_t serial[static KEYED_SERIAL_LEN],
	   const uint8_t mac[static KEYED_MAC_LEN], uint64_t now_ms)
{
	rekey_close(r);
	framer_init(&r->framer);
	memcpy(r->serial, serial, sizeof(r->serial));
	memcpy(r->mac, mac, sizeof(r->mac));
	packet_zero_key(serial, &r->zero_key);
	send_reset(r, now_ms);
}

bool
rekey_change(struct rekey *r, const uint8_t nonce[static REKEY_NONCE_LEN], uint64_t now_ms)
{
	if (r->state != REKEY_ACCEPTED)
		return false;
	memcpy(r->nonce, nonce, sizeof(r->nonce));
	r->have_nonce = true;
	send_nonce(r, now_ms);
	return true;
}

void
rekey_close(struct rekey *r)
{
	secret_wipe(r, sizeof(*r));
}

void
rekey_tick(struct rekey *r, uint64_t now_ms)
{
	if (now_ms < rekey_deadline(r))
		return;
	if (r->state == REKEY_ACCEPTED || r->state == REKEY_CHANGED)
		enter(r, REKEY_ABANDONED, now_ms);
	else
		retry(r, REKEY_SILENT, now_ms);
}

/* ---- results ---- */

bool
rekey_failed(const struct rekey *r)
{
	return r->state >= REKEY_REFUSED;
}

const char *
rekey_state_text(enum rekey_state state)
{
	static const char *const texts[] = {
		[REKEY_CLOSED] = "not changing its long-term key",
		[REKEY_RESETTING] =
			"changing its long-term key: waiting for its answer to the reset",
		[REKEY_UNLOCKING] = "changing its long-term key: waiting for it to be ready",
		[REKEY_ACCEPTED] = "changing its long-term key: ready",
		[REKEY_CHANGING] = "changing its long-term key: waiting for the change",
		[REKEY_CHANGED] = "changing its long-term key: changed",
		[REKEY_REFUSED] = "the key refused: this is not its master key",
		[REKEY_LOCKED] =
			"the key reports that it is locked: unplug it, plug it in, try again",
		[REKEY_OTHER] = "a key with another serial number answered",
		[REKEY_BROKEN] =
			"the key reports that its generators are bad: unplug it, plug it in,"
			" try again",
		[REKEY_SILENT] = "the key does not answer: unplug it, plug it in, try again",
		[REKEY_LOST] = "the key stopped answering, and may have another long-term"
			       " key now: try again",
		[REKEY_ABANDONED] = "the change of the long-term key was abandoned",
	};

	return texts[state];
}
