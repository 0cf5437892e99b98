/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/secret.h"
#include "tls/service.h"

/* Of events; the lower the sooner: a clone's order must be there before the end of a connection. */
enum priority { PRIORITY_ORDERS, PRIORITY_OTHERS, PRIORITIES }; /* others: the middle, (2 / 2) */

/* Once the daemon is gone: until what it has sent must have been taken by the network. */
#define LINGER_S 5

/* ---- orders ---- */

/* The other machine has the same keys, and would encrypt other bytes with them: nothing is sent. */
static void
renew(struct service *s)
{
	tls_reseed();
	while (!LIST_EMPTY(&s->all))
		handshakes_free(LIST_FIRST(&s->all), false);
}

/* False when it is none of the daemon's. */
static bool
obey(struct service *s, const union tls_message *message, const int fds[static 2])
{
	struct tls_answer answer;

	switch ((enum tls_kind)message->kind) {
	case TLS_KEYS:
		sections_load(s, &message->keys, &answer);
		return tls_channel_answer(s->channel, &answer) == 0;
	case TLS_END:
		return sections_end(s);
	case TLS_ACCEPT:
	case TLS_CONNECT:
		handshakes_take(s, &message->order, fds);
		return true;
	case TLS_RENEW:
		renew(s);
		return true;
	}
	return false;
}

/* The daemon is gone, and so are the plaintext's ends: what it sent before is still carried on. */
static void
end(struct service *s)
{
	const struct timeval linger = {.tv_sec = LINGER_S};

	s->ended = true;
	event_del(s->orders);
	event_base_loopexit(s->base, &linger);
	if (LIST_EMPTY(&s->all))
		event_base_loopbreak(s->base);
}

static void
on_orders(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	union tls_message message;
	int fds[2], result;

	(void)what;
	do {
		result = tls_channel_receive(fd, &message, fds);
		if (result > 0 && !obey(s, &message, fds))
			result = -EPROTO;
	} while (result > 0);
	if (result == -EAGAIN)
		return;
	if (result < 0)
		log_err("invalid order from the daemon: %s", strerror(-result));
	end(s);
}

static bool
set_up(struct service *s)
{
	s->base = event_base_new();
	s->scratch = secret_new(SCRATCH_LEN);
	if (s->base == NULL || s->scratch == NULL ||
	    event_base_priority_init(s->base, PRIORITIES) != 0 || !handshakes_init(s))
		return false;
	s->orders = event_new(s->base, s->channel, EV_READ | EV_PERSIST, on_orders, s);
	return s->orders != NULL && event_priority_set(s->orders, PRIORITY_ORDERS) == 0 &&
	       event_add(s->orders, NULL) == 0;
}

bool
service_run(int channel)
{
	struct service *s = calloc(1, sizeof(*s));
	bool good;

	if (s == NULL)
		return false;
	s->channel = channel;
	good = set_up(s);
	if (good)
		event_base_dispatch(s->base);
	else
		log_err("no memory");
	if (s->base != NULL) {
		handshakes_finish(s);
		sections_finish(s);
		if (s->orders != NULL)
			event_free(s->orders);
		event_base_free(s->base);
	}
	secret_free(s->scratch, SCRATCH_LEN);
	free(s);
	return good;
}
