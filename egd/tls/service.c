/* SPDX-License-Identifier: MIT */
#include "egd/tls/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "egd/tls/connections.h"
#include "lib/log.h"

/* Of events; the lower the sooner: a clone's order comes before the end of a connection. */
enum priority { PRIORITY_ORDERS, PRIORITY_OTHERS, PRIORITIES }; /* others: the middle, (2 / 2) */

/* After the daemon's end: time for the network to take what the daemon has sent. */
#define LINGER_S 5

struct service {
	struct event_base *base;
	struct event *orders;
	struct sections sections;
	struct connections connections;
};

/* ---- orders ---- */

/* Discards the sections that were not named. The first time it seals ekey-tls. */
static bool
end_sections(struct service *s)
{
	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++) {
		struct section *section = &s->sections.at[i];

		if (!section->named) {
			connections_end(&s->connections, section, true);
			section_finish(section);
		}
		section->named = false;
	}
	return sections_seal(&s->sections);
}

static bool
load(struct service *s, int channel, const struct tls_keys *keys)
{
	struct tls_answer answer;
	struct section *changed = sections_load(&s->sections, keys, &answer);

	if (changed != NULL)
		connections_end_revoked(&s->connections, changed);
	return tls_channel_answer(channel, &answer) == 0;
}

/* Carries an order out. False: ekey-tls cannot go on. */
static bool
handle_order(struct service *s, int channel, const union tls_message *message,
	     const int fds[static 2])
{
	const struct tls_order *order = &message->order;

	switch ((enum tls_kind)message->kind) {
	case TLS_KEYS:
		return load(s, channel, &message->keys);
	case TLS_END:
		return end_sections(s);
	case TLS_ACCEPT:
	case TLS_CONNECT:
		connections_take(&s->connections, sections_find(&s->sections, order->section),
				 order, fds);
		return true;
	case TLS_RENEW:
		/* The other machine encrypts other bytes with the same keys: nothing is sent. */
		tls_reseed();
		connections_end(&s->connections, NULL, false);
		return true;
	}
	return false;
}

/* After the end of the daemon: carries the bytes that it has sent, then ends. */
static void
end(struct service *s)
{
	const struct timeval linger = {.tv_sec = LINGER_S};

	s->connections.ended = true;
	event_del(s->orders);
	event_base_loopexit(s->base, &linger);
	if (connections_are_none(&s->connections))
		event_base_loopbreak(s->base);
}

static void
on_orders(evutil_socket_t channel, short what, void *arg)
{
	struct service *s = arg;
	union tls_message message;
	int fds[2], result;

	(void)what;
	do {
		result = tls_channel_receive(channel, &message, fds);
		if (result > 0 && !handle_order(s, channel, &message, fds))
			result = -EPROTO;
	} while (result > 0);
	if (result == -EAGAIN)
		return;
	if (result < 0)
		log_err("invalid order from the daemon: %s", strerror(-result));
	end(s);
}

/* ---- life ---- */

static bool
set_up(struct service *s, int channel)
{
	s->base = event_base_new();
	if (s->base == NULL || event_base_priority_init(s->base, PRIORITIES) != 0 ||
	    !connections_init(&s->connections, s->base))
		return false;
	s->orders = event_new(s->base, channel, EV_READ | EV_PERSIST, on_orders, s);
	return s->orders != NULL && event_priority_set(s->orders, PRIORITY_ORDERS) == 0 &&
	       event_add(s->orders, NULL) == 0;
}

/* Without memory the process ends, so that nothing has to be freed. */
bool
service_run(int channel)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL || !set_up(s, channel)) {
		log_err("no memory");
		return false;
	}
	event_base_dispatch(s->base);
	connections_finish(&s->connections);
	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++)
		section_finish(&s->sections.at[i]);
	event_free(s->orders);
	event_base_free(s->base);
	free(s);
	return true;
}
