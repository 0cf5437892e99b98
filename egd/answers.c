/* SPDX-License-Identifier: MIT */
/*
 * Requests to replies, strictly in order: a read that has to wait holds up what was asked after it,
 * which stays where it is, in `in` and in the socket.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "egd/inside.h"

/* The pool has no place for another who waits: it is asked again so much later. */
#define RETRY_MS 100

/* ---- the replies ---- */

/* Where the next reply goes; NULL: there is no room for the longest one. */
static uint8_t *
out_room(struct egd_connection *c)
{
	if (c->out == NULL)
		c->out = slots_take(&c->server->outs); /* as many as connections: there is one */
	assert(c->out != NULL);
	return EGD_OUT_LEN - c->out_len >= EGD_REPLY_MAX ? c->out + c->out_len : NULL;
}

/* The pool's bytes go where their reply is; they are this client's as soon as they are sent. */
static void
out_direct(struct egd_connection *c, size_t len)
{
	c->out_len += len;
	c->out_direct += len;
	c->server->account.requests += len > 0;
}

static void
out_give_back(struct egd_connection *c)
{
	slots_give(&c->server->outs, c->out); /* wipes it */
	c->out = NULL;
	c->out_at = c->out_len = c->out_direct = 0;
}

/* ---- each request; false: not now, the request stays ---- */

static bool
answer_level(struct egd_connection *c, uint8_t *out)
{
	egd_wire_put_level(pool_level(c->server->pool), out);
	c->out_len += EGD_LEVEL_LEN;
	return true;
}

/* Over its rate a client finds nothing there. */
static bool
answer_try(struct egd_connection *c, size_t len, uint8_t *out)
{
	size_t ready = pool_ready(c->server->pool, &c->handle);

	if (len > ready)
		len = ready;
	if (!egd_member_take(c->member, len, clock_now_ms()))
		len = 0;
	out[0] = (uint8_t)pool_take(c->server->pool, &c->handle, out + 1, len);
	c->out_len++;
	out_direct(c, out[0]);
	return true;
}

/* False: the rate is used up, and the request may be tried again in retry_ms. */
static bool
charge(struct egd_connection *c, size_t len)
{
	uint64_t now_ms = clock_now_ms();

	c->charged = c->charged || egd_member_take(c->member, len, now_ms);
	if (!c->charged)
		c->retry_ms = egd_member_when(c->member, len, now_ms) - now_ms;
	return c->charged;
}

/*
 * Called from within pool_put(): the next read joins the queue before its turn has passed, or a
 * client with many small ones would get but one in each round. Sending waits for the loop.
 */
static void
on_granted(struct pool_waiter *waiter, void *arg)
{
	struct egd_connection *c = arg;

	(void)waiter;
	c->granted = true;
	(void)egd_answers_put(c);
	egd_server_schedule(c->server, c);
}

/* When the pool has not got all of it the request is taken off `in`, and stands in the queue. */
static bool
answer_read(struct egd_connection *c, size_t len, uint8_t *out)
{
	struct pool *pool = c->server->pool;

	if (!charge(c, len))
		return false;
	if (len == 0 || pool_take(pool, &c->handle, out, len) == len) {
		out_direct(c, len);
	} else if ((c->waiter = pool_wait(pool, &c->handle, len, on_granted, c)) == NULL) {
		c->retry_ms = RETRY_MS;
		return false;
	}
	c->charged = false;
	return true;
}

/* The read that waited has its bytes. */
static void
collect(struct egd_connection *c, uint8_t *out)
{
	size_t len;
	const uint8_t *bytes = pool_waiter_bytes(c->waiter, &len);

	memcpy(out, bytes, len);
	pool_waiter_done(c->server->pool, c->waiter, true);
	c->waiter = NULL;
	c->granted = false;
	out_direct(c, len);
}

static bool
answer(struct egd_connection *c, struct egd_request request, uint8_t *out)
{
	switch (request.op) {
	case EGD_LEVEL:
		return answer_level(c, out);
	case EGD_TRY:
		return answer_try(c, request.len, out);
	case EGD_READ:
		return answer_read(c, request.len, out);
	case EGD_ADD:
		return true; /* a stranger's bytes: dropped */
	case EGD_PID:
		c->out_len += egd_wire_put_pid((uint64_t)getpid(), out);
		return true;
	}
	return true;
}

/* ---- all of them ---- */

enum egd_answers
egd_answers_put(struct egd_connection *c)
{
	c->retry_ms = 0;
	for (;;) {
		struct cursor in = cursor_over(c->in + c->in_at, c->in_len - c->in_at);
		struct egd_request request;
		enum egd_found found;
		uint8_t *out;

		if (c->waiter != NULL && !c->granted)
			return EGD_ANSWERS_WAIT;
		out = out_room(c);
		if (out == NULL)
			return EGD_ANSWERS_FULL;
		if (c->granted) {
			collect(c, out);
			continue;
		}
		found = egd_wire_request(&in, &request);
		if (found != EGD_WHOLE)
			return found == EGD_BAD ? EGD_ANSWERS_UNKNOWN : EGD_ANSWERS_ASK;
		if (!answer(c, request, out))
			return EGD_ANSWERS_WAIT;
		c->in_at = c->in_len - in.left;
	}
}

int
egd_answers_send(struct egd_connection *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->out_at += (size_t)n;
		c->slow = false;
	}
	if (c->out != NULL)
		out_give_back(c);
	return 0;
}

void
egd_answers_drop(struct egd_connection *c)
{
	size_t lost = c->out_len - c->out_at;

	if (c->out == NULL)
		return;
	if (lost > c->out_direct)
		lost = c->out_direct;
	pool_delivery_failed(c->server->pool, &c->handle, lost);
	out_give_back(c);
}
