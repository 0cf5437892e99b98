/* SPDX-License-Identifier: MIT */
#include "backend/rekeying.h"

bool
rekeying_active(const struct rekeying *r)
{
	return rekey_state(&r->rekey) != REKEY_CLOSED;
}

static void
rekeying_tell(const struct rekeying *r)
{
	source_log_rekey(r->log, rekey_state(&r->rekey));
	r->fn(r->arg, &r->rekey);
}

static void
rekeying_send(struct rekeying *r)
{
	size_t len;
	const uint8_t *bytes = rekey_send(&r->rekey, &len);

	if (bytes != NULL)
		link_send(r->link, bytes, len);
}

/* After a new state. */
static void
rekeying_step(struct rekeying *r)
{
	rekeying_send(r);
	rekeying_tell(r);
}

void
rekeying_begin(struct rekeying *r, const uint8_t serial[static KEYED_SERIAL_LEN],
	       const uint8_t mac[static KEYED_MAC_LEN], uint64_t now_ms)
{
	rekey_open(&r->rekey, serial, mac, now_ms);
	rekeying_step(r);
}

bool
rekeying_change(struct rekeying *r, const uint8_t nonce[static REKEY_NONCE_LEN], uint64_t now_ms)
{
	if (!rekey_change(&r->rekey, nonce, now_ms))
		return false;
	rekeying_step(r);
	return true;
}

bool
rekeying_take(struct rekeying *r, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct cursor in = cursor_over(bytes, len);

	while (rekey_take(&r->rekey, &in, now_ms))
		rekeying_step(r);
	return rekey_failed(&r->rekey);
}

bool
rekeying_tick(struct rekeying *r, uint64_t now_ms)
{
	rekey_tick(&r->rekey, now_ms);
	rekeying_step(r);
	return rekey_failed(&r->rekey);
}

void
rekeying_end(struct rekeying *r)
{
	if (!rekeying_active(r))
		return;
	rekey_close(&r->rekey);
	rekeying_tell(r);
}
