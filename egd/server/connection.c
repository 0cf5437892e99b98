/* SPDX-License-Identifier: MIT */
/* epoll reports edges only, so input is read until it is empty. Disconnects: doc/egd.md 0.2. */
#include "egd/server/connection.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/priv/tls_channel.h"

#define BATCHES_MAX 16 /* of replies, 48 KiB, before other connections have their turn */
#define RETRY_MS 100   /* when the pool has no place for another waiter */

/* Results beside -errno of a socket. */
#define NO_REQUEST (-EBADMSG) /* the next bytes are no request */
#define MORE 1                /* there may be more to do at once */

/*
 * Bytes that the kernel buffers for a client that does not read (it doubles them): by default TCP
 * would take megabytes of entropy off the pool for each.
 */
#define SEND_BUFFER 32768

void
egd_connection_log_closed(struct egd_connection *c, const char *why)
{
	char peer[EGD_PEER_TEXT_MAX];

	egd_peer_text(&c->peer, peer);
	log_warn_limited(&c->shared->closed_limit, egd_peer_number(&c->peer), clock_now_ms(),
			 "listen %s: closed %s: %s", c->shared->name, peer, why);
}

static enum egd_verdict
close_as(struct egd_connection *c, enum egd_end end)
{
	c->end = end;
	return EGD_CLOSE;
}

/* ---- replies ---- */

/* Returns where the next reply goes, or NULL without room for the longest one. */
static uint8_t *
out_room(struct egd_connection *c)
{
	if (c->out == NULL)
		c->out = slab_take(&c->shared->outs); /* as many as connections: there is one */
	assert(c->out != NULL);
	return EGD_OUT_LEN - c->out_len >= EGD_REPLY_MAX ? c->out + c->out_len : NULL;
}

/* Counts bytes of the pool, which are in their place already. */
static void
add_direct(struct egd_connection *c, size_t len)
{
	c->out_len += len;
	c->out_direct += len;
	c->shared->status.account.requests += len > 0;
}

static void
release_out(struct egd_connection *c)
{
	slab_give(&c->shared->outs, c->out); /* wipes it */
	c->out = NULL;
	c->out_at = c->out_len = c->out_direct = 0;
}

/* A client beyond its rate gets none. */
static void
answer_try(struct egd_connection *c, size_t len, uint8_t *out)
{
	size_t ready = pool_ready(c->shared->pool, &c->handle);

	if (len > ready)
		len = ready;
	if (!egd_identity_take(c->identity, len, clock_now_ms()))
		len = 0;
	out[0] = (uint8_t)pool_take(c->shared->pool, &c->handle, out + 1, len);
	c->out_len++;
	add_direct(c, out[0]);
}

/* Returns false, with retry_ms, while the rate does not allow the request. */
static bool
charge(struct egd_connection *c, size_t len)
{
	uint64_t now_ms = clock_now_ms();

	c->charged = c->charged || egd_identity_take(c->identity, len, now_ms);
	if (!c->charged)
		c->retry_ms = egd_identity_when(c->identity, len, now_ms) - now_ms;
	return c->charged;
}

static int put_replies(struct egd_connection *c);

/*
 * Called from within pool_put(): the next read joins the queue before its turn has passed, or a
 * client of small reads would get one in each round. Sending is left to the loop.
 */
static void
on_granted(struct pool_waiter *waiter, void *arg)
{
	struct egd_connection *c = arg;

	(void)waiter;
	c->granted = true;
	(void)put_replies(c);
	c->shared->act(c, EGD_AGAIN);
}

/* If the pool has less, the request is taken off `in` and waits in the pool's queue. */
static bool
answer_read(struct egd_connection *c, size_t len, uint8_t *out)
{
	struct pool *pool = c->shared->pool;

	if (!charge(c, len))
		return false;
	if (len == 0 || pool_take(pool, &c->handle, out, len) == len) {
		add_direct(c, len);
	} else if ((c->waiter = pool_wait(pool, &c->handle, len, on_granted, c)) == NULL) {
		c->retry_ms = RETRY_MS;
		return false;
	}
	c->charged = false;
	return true;
}

/* Moves the bytes of the read that waited into its reply. */
static void
collect_granted(struct egd_connection *c, uint8_t *out)
{
	size_t len;
	const uint8_t *bytes = pool_waiter_bytes(c->waiter, &len);

	memcpy(out, bytes, len);
	pool_waiter_done(c->shared->pool, c->waiter, true);
	c->waiter = NULL;
	c->granted = false;
	add_direct(c, len);
}

/* Returns false when the request has to wait where it is. */
static bool
answer(struct egd_connection *c, struct egd_request request, uint8_t *out)
{
	switch (request.op) {
	case EGD_GET_COUNT:
		egd_wire_put_level(pool_level(c->shared->pool), out);
		c->out_len += EGD_LEVEL_LEN;
		break;
	case EGD_READ_NB:
		answer_try(c, request.len, out);
		break;
	case EGD_READ:
		return answer_read(c, request.len, out);
	case EGD_WRITE:
		break; /* a client's bytes are dropped */
	case EGD_GET_PID:
		c->out_len += egd_wire_put_pid((uint64_t)getpid(), out);
		break;
	}
	return true;
}

/*
 * Writes replies to the requests in `in`, in order, as far as possible. A read that waits holds up
 * the requests behind it, which stay in `in` and in the socket. 0: all are answered; MORE: `out` is
 * full; -EAGAIN: the next waits; or NO_REQUEST.
 */
static int
put_replies(struct egd_connection *c)
{
	c->retry_ms = 0;
	for (;;) {
		struct cursor in = cursor_over(c->in + c->in_at, c->in_len - c->in_at);
		struct egd_request request;
		enum egd_found found;
		uint8_t *out;

		if (c->waiter != NULL && !c->granted)
			return -EAGAIN;
		out = out_room(c);
		if (out == NULL)
			return MORE;
		if (c->granted) {
			collect_granted(c, out);
			continue;
		}
		found = egd_wire_request(&in, &request);
		if (found != EGD_WHOLE)
			return found == EGD_BAD ? NO_REQUEST : 0;
		if (!answer(c, request, out))
			return -EAGAIN;
		c->in_at = c->in_len - in.left;
	}
}

/* Sends the replies. 0: all are sent; or -errno. */
static int
send_replies(struct egd_connection *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->out_at += (size_t)n;
		c->stalled = false;
	}
	if (c->out != NULL)
		release_out(c);
	return 0;
}

bool
egd_connection_flush(struct egd_connection *c)
{
	return send_replies(c) != -EAGAIN || c->out_at == 0;
}

bool
egd_connection_holds_bytes(const struct egd_connection *c)
{
	return c->out_direct > 0 || c->granted;
}

/* Wipes the unsent replies and counts their bytes as lost. */
static void
drop_replies(struct egd_connection *c)
{
	size_t lost = c->out_len - c->out_at;

	if (c->out == NULL)
		return;
	if (lost > c->out_direct)
		lost = c->out_direct;
	pool_delivery_failed(c->shared->pool, &c->handle, lost);
	release_out(c);
}

/* ---- before the first request ---- */

/*
 * Takes a PROXY header and not a byte more: the next is TLS's, or the first request. 0, -EAGAIN or
 * -errno, -EPROTO: it is none.
 */
static int
take_header(struct egd_connection *c, struct egd_proxy *ret)
{
	ssize_t n = recv(c->fd, c->in, EGD_IN_LEN, MSG_PEEK);
	struct cursor in = cursor_over(c->in, n > 0 ? (size_t)n : 0);

	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	switch (egd_proxy_parse(&in, ret)) {
	case EGD_PROXY_PARTIAL:
		return -EAGAIN;
	case EGD_PROXY_BAD:
		return -EPROTO;
	case EGD_PROXY_WHOLE:
		break;
	}
	return recv(c->fd, c->in, (size_t)n - in.left, 0) > 0 ? 0 : -ECONNRESET;
}

static int
read_proxy(struct egd_connection *c, const char **ret_why)
{
	struct egd_proxy proxy = {0};
	int result = take_header(c, &proxy);

	if (result == -EPROTO)
		*ret_why = "it is in proxy-from, and sent no PROXY header";
	if (result == 0 && proxy.forwarded)
		c->peer.address = proxy.client;
	return result;
}

static bool watch_socket(struct egd_connection *c, int fd);

/* Passes the client's socket to ekey-tls, and goes on with the plaintext's. */
static int
pass_to_tls(struct egd_connection *c, const char **ret_why)
{
	const struct egd_shared *s = c->shared;
	struct tls_order order = {.kind = TLS_ACCEPT, .client = egd_peer_number(&c->peer)};
	int plain = -ENOTCONN;

	snprintf(order.section, sizeof(order.section), "listen %s", s->name);
	if (s->tls != NULL && *s->tls >= 0)
		plain = tls_channel_pass(*s->tls, &order, c->fd);
	if (plain < 0) {
		*ret_why = plain == -EAGAIN ? "ekey-tls is busy" : "ekey-tls is not running";
		return -EPROTO;
	}
	event_free(c->input);
	event_free(c->output);
	c->input = c->output = NULL;
	close(c->fd);
	c->with_tls = true;
	c->half = false;
	return watch_socket(c, plain) ? 0 : -ENOMEM;
}

/* The header of ekey-tls has the client's identity, or the reason for which there is no TLS. */
static int
start_tls(struct egd_connection *c, const char **ret_why)
{
	struct egd_proxy proxy = {0};
	int result = 0;

	if (!c->shared->is_tls)
		return 0;
	if (!c->with_tls)
		result = pass_to_tls(c, ret_why);
	if (result == 0)
		result = take_header(c, &proxy);
	if (result < 0)
		return result;
	if (proxy.refusal[0] != '\0') {
		memcpy(c->in, proxy.refusal, sizeof(proxy.refusal));
		*ret_why = (const char *)c->in;
		return -EPROTO;
	}
	if (proxy.identity[0] == '\0')
		return 0;
	c->peer.tls_name = strdup(proxy.identity);
	return c->peer.tls_name != NULL ? 0 : -ENOMEM;
}

static enum egd_verdict
shake_hands(struct egd_connection *c)
{
	const char *why = NULL;
	int result = 0;

	if (c->stage == EGD_STAGE_PROXY && (result = read_proxy(c, &why)) == 0)
		c->stage = EGD_STAGE_TLS;
	if (result == 0)
		result = start_tls(c, &why);
	if (result == 0)
		return EGD_ADMIT;
	if (result == -EAGAIN)
		return EGD_WAIT;
	if (why != NULL)
		egd_connection_log_closed(c, why);
	return close_as(c, EGD_END_START);
}

/* QEMU's rng-egd repeats none of the requests that it sent to the previous daemon: hence greet. */
void
egd_connection_open(struct egd_connection *c, struct egd_identity *identity)
{
	const struct egd_request read = {.op = EGD_READ, .len = c->shared->greet};

	c->identity = identity;
	c->stage = EGD_STAGE_OPEN;
	if (read.len > 0)
		c->in_len = egd_wire_put_request(read, c->in);
}

/* ---- requests ---- */

/* The peer is gone: that is a loss only if it had not got all that it requested. */
static enum egd_verdict
close_gone(struct egd_connection *c)
{
	return close_as(c, c->waiter != NULL || c->out != NULL ? EGD_END_LOST : EGD_END_DONE);
}

/* Reads behind the beginning of a request. MORE, -EAGAIN, or -errno, -ECONNRESET at the end. */
static int
read_requests(struct egd_connection *c)
{
	size_t rest = c->in_len - c->in_at;
	ssize_t n;

	if (!c->readable)
		return -EAGAIN;
	memmove(c->in, c->in + c->in_at, rest);
	c->in_at = 0;
	c->in_len = rest;
	n = recv(c->fd, c->in + rest, EGD_IN_LEN - rest, MSG_DONTWAIT);
	if (n < 0) {
		c->readable = false;
		return -errno;
	}
	c->in_len += (size_t)n;
	/* epoll(7): a short read has emptied a stream. */
	c->readable = c->in_len == EGD_IN_LEN || c->half;
	return n > 0 ? MORE : -ECONNRESET;
}

/* Sends a batch of replies, and reads on when all requests are answered. */
static enum egd_verdict
take_turn(struct egd_connection *c)
{
	int answered = 0, result = send_replies(c);

	if (result == 0) {
		answered = put_replies(c);
		result = send_replies(c);
	}
	if (result == 0)
		result = answered == 0 ? read_requests(c) : answered;
	if (result == MORE)
		return EGD_AGAIN;
	if (result == -EAGAIN)
		return EGD_WAIT;
	if (result != NO_REQUEST)
		return close_gone(c);
	egd_connection_log_closed(c, egd_proxy_begins(c->in[c->in_at])
					     ? "it sent a PROXY header, and is not in proxy-from"
					     : "it sent bytes that are no EGD request");
	return close_as(c, EGD_END_UNKNOWN);
}

/* Returns the time that the peer has now, or NULL for no limit. */
static const struct timeval *
limit_for(const struct egd_connection *c)
{
	if (c->out != NULL)
		return c->shared->slow_limit;
	if (c->waiter != NULL)
		return c->half ? c->shared->half_limit : NULL;
	return c->shared->idle_limit;
}

/*
 * Waits for room in the socket while there are bytes to send, and sets the time limit. The limit
 * for reading our replies starts again when bytes are sent, not when the client sends.
 */
static void
set_events(struct egd_connection *c)
{
	const struct timeval retry = clock_timeval(c->retry_ms);
	const struct timeval *limit;

	if (c->out != NULL)
		c->retry_ms = 0; /* first the client has to read its replies */
	limit = c->retry_ms > 0 ? &retry : limit_for(c);
	c->shared->status.throttled += c->retry_ms > 0;
	if (c->out != NULL)
		event_add(c->output, NULL);
	else
		event_del(c->output);
	if (limit == NULL)
		event_del(c->timeout);
	else if (limit != c->shared->slow_limit || !c->stalled)
		event_add(c->timeout, limit);
	c->stalled = limit == c->shared->slow_limit;
}

enum egd_verdict
egd_connection_work(struct egd_connection *c)
{
	enum egd_verdict verdict = EGD_AGAIN;

	if (c->stage != EGD_STAGE_OPEN)
		return shake_hands(c);
	for (unsigned i = 0; i < BATCHES_MAX && verdict == EGD_AGAIN; i++)
		verdict = take_turn(c);
	if (verdict != EGD_CLOSE)
		set_events(c);
	return verdict;
}

/* ---- events ---- */

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct egd_connection *c = arg;
	enum egd_verdict verdict;

	(void)fd, (void)what;
	if (c->retry_ms > 0) {
		verdict = egd_connection_work(c);
	} else if (c->stage != EGD_STAGE_OPEN) {
		egd_connection_log_closed(c, "its PROXY header or TLS handshake took too long");
		verdict = close_as(c, EGD_END_START);
	} else {
		verdict = close_as(c, c->out != NULL      ? EGD_END_SLOW
				      : c->waiter != NULL ? EGD_END_LOST
							  : EGD_END_IDLE);
	}
	c->shared->act(c, verdict);
}

/* Returns true when the peer has closed, and not only its sending half. */
static bool
is_dead(const struct egd_connection *c)
{
	struct pollfd p = {.fd = c->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/*
 * A Unix peer that closes hangs up; a TCP peer looks half-closed until it rejects what is sent to
 * it. While a read waits no input is read, so poll(2) has to find that the peer is gone. During TLS
 * the refusal of ekey-tls is read before its end.
 */
static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct egd_connection *c = arg;

	(void)fd;
	c->readable = c->readable || (what & (EV_READ | EV_CLOSED)) != 0;
	c->half = c->half || (what & EV_CLOSED) != 0;
	if ((what & EV_WRITE) == 0 && c->stage != EGD_STAGE_TLS && (c->half || c->waiter != NULL) &&
	    is_dead(c))
		c->shared->act(c, close_gone(c));
	else if (!c->due)
		c->shared->act(c, egd_connection_work(c));
}

/* Takes over `fd` in any case. */
static bool
watch_socket(struct egd_connection *c, int fd)
{
	struct event_base *base = c->shared->base;
	const int len = SEND_BUFFER;

	c->fd = fd;
	/* If the kernel refuses, its own limits bound the memory. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
	c->input = event_new(base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_ready, c);
	c->output = event_new(base, fd, EV_WRITE | EV_ET | EV_PERSIST, on_ready, c);
	return c->input != NULL && c->output != NULL && event_add(c->input, NULL) == 0;
}

static void
free_parts(struct egd_connection *c)
{
	if (c->input != NULL)
		event_free(c->input);
	if (c->output != NULL)
		event_free(c->output);
	if (c->timeout != NULL)
		event_free(c->timeout);
	free(c->peer.tls_name);
	free(c);
}

struct egd_connection *
egd_connection_new(struct egd_shared *shared, int fd, const struct egd_peer *peer, bool proxied)
{
	struct egd_connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->shared = shared;
	c->peer = *peer;
	c->readable = true;
	c->stage = proxied ? EGD_STAGE_PROXY : EGD_STAGE_TLS;
	c->timeout = evtimer_new(shared->base, on_timeout, c);
	if (c->timeout != NULL && watch_socket(c, fd) &&
	    event_add(c->timeout, shared->start_limit) == 0)
		return c;
	free_parts(c);
	return NULL;
}

void
egd_connection_free(struct egd_connection *c)
{
	drop_replies(c);
	if (c->identity != NULL)
		pool_handle_close(c->shared->pool, &c->handle);
	close(c->fd);
	free_parts(c);
}
