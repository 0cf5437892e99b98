/* SPDX-License-Identifier: MIT */
#include "egd/egd_client.h"

void
egd_client_open(struct egd_client *c, uint64_t patience_ms, uint64_t now_ms)
{
	*c = (struct egd_client){.open = true,
				 .patience_ms = patience_ms,
				 .since_ms = now_ms,
				 .round = EGD_CLIENT_ROUND_MIN};
}

void
egd_client_close(struct egd_client *c)
{
	c->open = false;
	c->owed = 0;
	c->has_single = false;
}

bool
egd_client_is_owed(const struct egd_client *c)
{
	return c->has_single || c->owed > 0;
}

uint64_t
egd_client_lags_at(const struct egd_client *c)
{
	return c->owed > 0 ? c->kept_ms + EGD_CLIENT_LAG_MS : UINT64_MAX;
}

uint64_t
egd_client_deadline(const struct egd_client *c)
{
	if (!c->open)
		return UINT64_MAX;
	if (egd_client_is_owed(c))
		return (c->has_single ? c->since_ms : c->kept_ms) + c->patience_ms;
	return c->since_ms + (c->told && !c->proven ? EGD_QUIET_MS : EGD_CLIENT_PROBE_MS);
}

bool
egd_client_prove(struct egd_client *c, uint64_t now_ms)
{
	if (!c->told || c->proven || egd_client_is_owed(c) || now_ms < egd_client_deadline(c))
		return false;
	c->proven = true;
	return true;
}

void
egd_client_listens(struct egd_client *c, uint64_t now_ms)
{
	c->since_ms = now_ms;
	c->asked_ms = now_ms;
	c->kept_ms = now_ms;
}

/* ---- requests ---- */

size_t
egd_client_ask_single(struct egd_client *c, enum egd_op op, uint64_t now_ms,
		      uint8_t ret[static EGD_ASK_LEN])
{
	if (!c->open || egd_client_is_owed(c))
		return 0;
	c->has_single = true;
	c->single = op;
	c->partial_len = 0;
	c->since_ms = now_ms;
	return egd_wire_put_request((struct egd_request){.op = op}, ret);
}

size_t
egd_client_ask(struct egd_client *c, size_t want, uint64_t now_ms,
	       uint8_t ret[static EGD_CLIENT_SEND_MAX])
{
	size_t len = 0, left;

	if (!c->open || !c->proven || c->owed > 0)
		return 0;
	c->asked = c->owed = want < c->round ? want : c->round;
	for (left = c->asked; left > 0;) {
		size_t n = left < EGD_LEN_MAX ? left : EGD_LEN_MAX;

		len += egd_wire_put_request((struct egd_request){.op = EGD_READ, .len = (uint8_t)n},
					    ret + len);
		left -= n;
	}
	if (len > 0)
		c->asked_ms = c->since_ms = c->kept_ms = now_ms;
	c->kept = 0;
	return len;
}

/* ---- replies ---- */

/* Adapts the size of the next round to the time of this one, unless it was cut short. */
static void
client_end_round(struct egd_client *c, uint64_t now_ms)
{
	uint64_t took_ms = now_ms - c->asked_ms;

	if (took_ms > EGD_CLIENT_SLOW_MS && c->round > EGD_CLIENT_ROUND_MIN)
		c->round /= 2;
	else if (took_ms <= EGD_CLIENT_QUICK_MS && c->asked == c->round &&
		 c->round < EGD_CLIENT_ROUND_MAX)
		c->round *= 2;
	if (c->round > EGD_CLIENT_ROUND_MAX)
		c->round = EGD_CLIENT_ROUND_MAX;
}

/* Notes that `n` bytes of entropy have come. */
static void
client_note_pace(struct egd_client *c, size_t n, uint64_t now_ms)
{
	bool whole;

	c->kept += n;
	whole = c->kept >= EGD_CLIENT_ROUND_MIN || c->owed == 0;
	c->keeps_up = whole && now_ms - c->kept_ms <= EGD_CLIENT_LAG_MS;
	if (whole) {
		c->kept_ms = now_ms;
		c->kept = 0;
	}
}

static enum egd_client_event
client_take_bytes(struct egd_client *c, struct cursor *in, uint64_t now_ms, struct egd_reply *ret)
{
	size_t n = in->left < c->owed ? in->left : c->owed;

	if (n > EGD_CLIENT_PIECE_MAX)
		n = EGD_CLIENT_PIECE_MAX;
	if (!cursor_take(in, n, &ret->bytes))
		return EGD_CLIENT_BAD;
	ret->len = n;
	c->owed -= n;
	client_note_pace(c, n, now_ms);
	if (c->owed == 0)
		client_end_round(c, now_ms);
	return EGD_CLIENT_BYTES;
}

/* Takes byte by byte, for the bytes behind the reply are another's. */
static enum egd_client_event
client_take_single(struct egd_client *c, struct cursor *in, uint64_t now_ms, struct egd_reply *ret)
{
	const uint8_t *byte;

	if (c->partial_len == 0)
		c->partial_ms = now_ms;
	if (c->single == EGD_GET_COUNT && now_ms - c->partial_ms > EGD_QUIET_MS)
		return EGD_CLIENT_BAD;

	while (c->partial_len < sizeof(c->partial) && cursor_take(in, 1, &byte)) {
		enum egd_found found;
		struct cursor reply;

		c->partial[c->partial_len++] = *byte;
		reply = cursor_over(c->partial, c->partial_len);
		found = egd_wire_reply(c->single, &reply, ret);
		if (found == EGD_PARTIAL)
			continue;
		c->has_single = false;
		if (found == EGD_BAD)
			return EGD_CLIENT_BAD;
		c->told = c->told || c->single == EGD_GET_COUNT;
		return c->single == EGD_GET_PID ? EGD_CLIENT_PID : EGD_CLIENT_LEVEL;
	}
	return EGD_CLIENT_MORE;
}

enum egd_client_event
egd_client_next(struct egd_client *c, struct cursor *in, uint64_t now_ms, struct egd_reply *ret)
{
	if (in->left == 0)
		return EGD_CLIENT_MORE;
	c->since_ms = now_ms;
	if (c->has_single)
		return client_take_single(c, in, now_ms, ret);
	if (c->owed > 0)
		return client_take_bytes(c, in, now_ms, ret);
	return EGD_CLIENT_BAD;
}
