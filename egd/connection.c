/* SPDX-License-Identifier: MIT */
/*
 * One connection's life: its events, its turns, its patience, its end. epoll tells edges only:
 * input is read until there is no more; how the peer's going looks is in EGD.md 0.2.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "egd/inside.h"

/* Batches that one connection may send before the others are looked at: 48 KiB. */
#define BATCHES_MAX 16

/* ---- its end ---- */

const char *
egd_connection_identity(const struct egd_connection *c)
{
	return c->identity != NULL ? c->identity : "";
}

void
egd_connection_say_end(struct egd_connection *c, const char *why)
{
	struct egd_server *server = c->server;
	char who[EGD_CALLER_TEXT_MAX];

	egd_caller_text(&c->caller, egd_connection_identity(c), who);
	log_warn_limited(&server->ended_limit, egd_caller_number(&c->caller), clock_now_ms(),
			 "listen %s: closed %s: %s", server->config.name, who, why);
}

static void
free_events(struct egd_connection *c)
{
	if (c->input != NULL)
		event_free(c->input);
	if (c->output != NULL)
		event_free(c->output);
	if (c->patience != NULL)
		event_free(c->patience);
}

void
egd_connection_free(struct egd_connection *c, enum egd_end end)
{
	struct egd_server *server = c->server;

	if (c->due)
		TAILQ_REMOVE(&server->due, c, in_due);
	LIST_REMOVE(c, in_connections);
	if (c->stage != EGD_STAGE_OPEN)
		egd_opening_end(c);
	server->clients--;
	server->ended[end]++;
	egd_answers_drop(c);
	if (c->member != NULL) {
		pool_handle_close(server->pool, &c->handle);
		egd_members_leave(&server->members, c->member);
	}
	free_events(c);
	close(c->fd);
	free(c->identity);
	if (c->caller.guest != NULL)
		egd_xen_left(server->xen, c->caller.guest);
	free(c);
}

/* How it ended when the peer is gone: that is no loss when we owe it nothing. */
static enum egd_end
end_when_gone(const struct egd_connection *c)
{
	return c->waiter != NULL || c->out != NULL ? EGD_END_LOST : EGD_END_DONE;
}

/* ---- requests ---- */

/*
 * Moves the beginning of a request to the front of `in` and reads behind it. Returns the bytes
 * read, 0 at the end of what the peer sends, -EAGAIN or -errno.
 */
static ssize_t
read_on(struct egd_connection *c)
{
	size_t rest = c->in_len - c->in_at;
	ssize_t n;

	if (!c->readable)
		return -EAGAIN;
	memmove(c->in, c->in + c->in_at, rest);
	c->in_at = 0;
	c->in_len = rest;
	n = recv(c->fd, c->in + rest, EGD_IN_LEN - rest, MSG_DONTWAIT);
	if (n < 0)
		n = -errno;
	else
		c->in_len += (size_t)n;
	/* epoll(7): a short read was the last of a stream. */
	c->readable = n > 0 && (c->in_len == EGD_IN_LEN || c->half);
	return n;
}

static const char *
unknown_text(const struct egd_connection *c)
{
	return egd_proxy_begins(c->in[c->in_at])
		       ? "it sent a PROXY header, and is not in proxy-from"
		       : "what it sent is no EGD request";
}

enum turn { TURN_AGAIN, TURN_WAIT, TURN_END };

static enum turn
turn_after(struct egd_connection *c, ssize_t result, enum egd_end *ret_end)
{
	if (result > 0)
		return TURN_AGAIN;
	if (result == -EAGAIN)
		return TURN_WAIT;
	*ret_end = end_when_gone(c);
	return TURN_END;
}

/* Answers a batch, and reads on when all is answered. TURN_END: with *ret_end. */
static enum turn
take_turn(struct egd_connection *c, enum egd_end *ret_end)
{
	enum egd_answers answers = EGD_ANSWERS_WAIT;
	int error = egd_answers_send(c);

	if (error == 0) {
		answers = egd_answers_put(c);
		error = egd_answers_send(c);
	}
	if (error != 0)
		return turn_after(c, error, ret_end);
	switch (answers) {
	case EGD_ANSWERS_FULL:
		return TURN_AGAIN;
	case EGD_ANSWERS_WAIT:
		return TURN_WAIT;
	case EGD_ANSWERS_ASK:
		return turn_after(c, read_on(c), ret_end);
	case EGD_ANSWERS_UNKNOWN:
		break;
	}
	egd_connection_say_end(c, unknown_text(c));
	*ret_end = EGD_END_UNKNOWN;
	return TURN_END;
}

/* ---- waiting ---- */

/* How long the peer has now, or NULL: as long as it takes. */
static const struct timeval *
patience_for(const struct egd_connection *c)
{
	const struct egd_limits *limits = &c->server->limits;

	if (c->out != NULL)
		return limits->slow;
	if (c->waiter != NULL)
		return c->half ? limits->half : NULL;
	return limits->idle;
}

/*
 * The socket tells when it has room while there is something to send. The time for reading our
 * replies runs on while the client sends: only what leaves begins it anew.
 */
static void
wait_for_it(struct egd_connection *c)
{
	const struct timeval retry = clock_timeval(c->retry_ms);
	const struct timeval *limit;

	if (c->out != NULL)
		c->retry_ms = 0; /* first it has to read what it has asked for already */
	limit = c->retry_ms > 0 ? &retry : patience_for(c);
	c->server->throttled += c->retry_ms > 0;
	if (c->out != NULL)
		event_add(c->output, NULL);
	else
		event_del(c->output);
	if (limit == NULL)
		event_del(c->patience);
	else if (limit != c->server->limits.slow || !c->slow)
		event_add(c->patience, limit);
	c->slow = limit == c->server->limits.slow;
}

static void
on_patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct egd_connection *c = arg;

	(void)fd, (void)what;
	if (c->retry_ms > 0) {
		egd_connection_work(c);
	} else if (c->stage != EGD_STAGE_OPEN) {
		egd_connection_say_end(c, "it did not begin in time");
		egd_connection_free(c, EGD_END_START);
	} else {
		egd_connection_free(c, c->out != NULL      ? EGD_END_SLOW
				       : c->waiter != NULL ? EGD_END_LOST
							   : EGD_END_IDLE);
	}
}

void
egd_connection_work(struct egd_connection *c)
{
	enum turn turn = TURN_AGAIN;
	enum egd_end end = EGD_END_DONE;

	if (c->stage != EGD_STAGE_OPEN && !egd_opening_go_on(c))
		return;
	for (unsigned i = 0; i < BATCHES_MAX && turn == TURN_AGAIN; i++)
		turn = take_turn(c, &end);
	if (turn == TURN_END) {
		egd_connection_free(c, end);
		return;
	}
	if (turn == TURN_AGAIN)
		egd_server_schedule(c->server, c);
	wait_for_it(c);
}

/* ---- its events ---- */

/* True when the peer is gone altogether, and does not only send no more. */
static bool
is_dead(const struct egd_connection *c)
{
	struct pollfd p = {.fd = c->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/*
 * A Unix peer that closes hangs up; one over TCP looks as if it only sent no more, until what we
 * send it is refused. While a read waits nothing is read, which would tell. The reason that
 * ekey-tls sends for a connection that does not come to be is read before its end.
 */
static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct egd_connection *c = arg;

	(void)fd;
	c->readable = true;
	c->half = c->half || (what & EV_CLOSED) != 0;
	if (c->stage != EGD_STAGE_TLS && (c->half || c->waiter != NULL) && is_dead(c))
		egd_connection_free(c, end_when_gone(c));
	else if (!c->due)
		egd_connection_work(c);
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct egd_connection *c = arg;

	(void)fd, (void)what;
	if (!c->due)
		egd_connection_work(c);
}

static bool
make_events(struct egd_connection *c)
{
	struct event_base *base = c->server->base;
	int fd = c->fd;

	c->input = event_new(base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_input, c);
	c->output = event_new(base, fd, EV_WRITE | EV_ET | EV_PERSIST, on_output, c);
	return c->input != NULL && c->output != NULL && event_add(c->input, NULL) == 0;
}

static bool
begin_patience(struct egd_connection *c)
{
	c->patience = evtimer_new(c->server->base, on_patience_over, c);
	return c->patience != NULL && event_add(c->patience, c->server->limits.start) == 0;
}

bool
egd_connection_move(struct egd_connection *c, int fd)
{
	event_free(c->input);
	event_free(c->output);
	c->input = c->output = NULL;
	close(c->fd);
	c->fd = fd;
	c->half = false;
	return make_events(c);
}

/* Of one that never was. */
static void
give_back(struct egd_connection *c)
{
	free_events(c);
	free(c);
}

struct egd_connection *
egd_connection_new(struct egd_server *server, int fd, const struct egd_caller *caller)
{
	struct egd_connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->server = server;
	c->fd = fd;
	c->caller = *caller;
	c->readable = true;
	c->stage = egd_proxies_have(&server->proxies, &caller->address, caller->uid)
			   ? EGD_STAGE_PROXY
			   : EGD_STAGE_TLS;
	if (!make_events(c) || !begin_patience(c)) {
		give_back(c);
		return NULL;
	}
	LIST_INSERT_HEAD(&server->connections, c, in_connections);
	TAILQ_INSERT_TAIL(&server->openings, c, in_openings);
	server->openings_count++;
	server->clients++;
	return c;
}
