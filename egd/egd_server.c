/* SPDX-License-Identifier: MIT */
#include "egd/egd_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "egd/inside.h"
#include "egd/listener.h"

#define START_S 10    /* for a PROXY header and TLS's handshake together */
#define SLOW_S 30     /* without reading a byte of replies that fill the socket */
#define HALF_S 30     /* for a reply that is owed to a client which sends no more: see EGD.md 0.3 */
#define LEFT_MIN 1024 /* identities that are remembered at least when they have left */

/* ---- serving them in turn ---- */

void
egd_server_schedule(struct egd_server *s, struct egd_connection *c)
{
	const struct timeval at_once = {0};

	if (c->due)
		return;
	if (TAILQ_EMPTY(&s->due))
		event_add(s->work, &at_once);
	TAILQ_INSERT_TAIL(&s->due, c, in_due);
	c->due = true;
}

/* Those who are due now, once each; who becomes due meanwhile waits until others had the loop. */
static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval at_once = {0};
	struct egd_server *s = arg;
	const struct egd_connection *last = TAILQ_LAST(&s->due, egd_due);
	struct egd_connection *c;
	bool more = true;

	(void)fd, (void)what;
	while (more && (c = TAILQ_FIRST(&s->due)) != NULL) {
		more = c != last;
		TAILQ_REMOVE(&s->due, c, in_due);
		c->due = false;
		egd_connection_work(c);
	}
	if (!TAILQ_EMPTY(&s->due))
		event_add(s->work, &at_once);
}

/* ---- its life ---- */

/* A limit that many events share: libevent then keeps them in a list, and not in a heap. */
static const struct timeval *
limit_of(struct event_base *base, uint64_t ms)
{
	const struct timeval limit = clock_timeval(ms);

	return event_base_init_common_timeout(base, &limit);
}

static bool
make_events(struct egd_server *s)
{
	struct event_base *base = s->base;

	s->limits.start = limit_of(base, START_S * 1000);
	s->limits.slow = limit_of(base, SLOW_S * 1000);
	s->limits.half = limit_of(base, HALF_S * 1000);
	/* A guest asks when it likes: its channel is its own and costs nobody a place. */
	if (s->xen == NULL)
		s->limits.idle = limit_of(base, s->config.idle_ms);
	s->accept = event_new(base, s->fd, EV_READ | EV_PERSIST, egd_accept_ready, s);
	s->accept_again = evtimer_new(base, egd_accept_again, s);
	s->work = evtimer_new(base, on_work, s);
	return s->limits.start != NULL && s->limits.slow != NULL && s->limits.half != NULL &&
	       (s->xen != NULL || s->limits.idle != NULL) && s->accept != NULL &&
	       s->accept_again != NULL && s->work != NULL &&
	       (s->fd < 0 || event_add(s->accept, NULL) == 0);
}

static void
warn_of(const struct egd_listen_config *config)
{
	const char *warning = egd_listener_warning(config);

	if (warning != NULL)
		log_warn("listen %s: %s", config->name, warning);
}

bool
egd_server_check(const struct egd_listen_config *config)
{
	const char *missing = egd_listener_missing(config);

	if (missing != NULL)
		log_err("listen %s: owner = %s: %s", config->name, config->owner, missing);
	warn_of(config);
	return missing == NULL;
}

/*
 * Opens what clients connect to, or resumes the listening socket `previous`. 0, or -errno after a
 * line in the log.
 */
static int
open_way_in(struct egd_server *s, int given, struct helper *connector, int previous)
{
	const struct egd_xen_env env = {
		.base = s->base,
		.name = s->config.name,
		.directory = egd_listener_xen_directory(s->config.address),
		.connector = connector,
		.taken = egd_accept_guest,
		.arg = s,
	};

	if (env.directory == NULL) {
		s->fd = egd_listener_open(&s->config, given, previous);
		return s->fd < 0 ? s->fd : 0;
	}
	if (connector != NULL)
		s->xen = egd_xen_new(&env);
	return s->xen != NULL ? 0 : -EIO;
}

static int
open_server(struct egd_server *s, int given, struct helper *connector, int previous)
{
	int result = open_way_in(s, given, connector, previous);

	if (result < 0)
		return result;
	if (slots_init(&s->outs, EGD_OUT_LEN, s->config.max_clients) && make_events(s))
		return 0;
	log_err("listen %s: no memory", s->config.name);
	return -ENOMEM;
}

int
egd_server_start(struct event_base *base, struct pool *pool, const struct egd_listen_config *config,
		 int given, struct helper *connector, int previous, struct egd_server **ret)
{
	struct egd_server *s = calloc(1, sizeof(*s));
	int result;

	if (s == NULL)
		return -ENOMEM;
	s->base = base;
	s->pool = pool;
	s->config = *config;
	s->is_tls = egd_listener_is_tls(config);
	s->fd = -1;
	(void)egd_networks_parse(config->allow, &s->allow);
	(void)egd_proxies_parse(config->proxy_from, &s->proxies);
	TAILQ_INIT(&s->due);
	LIST_INIT(&s->connections);
	TAILQ_INIT(&s->openings);
	egd_members_init(&s->members, config->max_clients + LEFT_MIN);
	result = open_server(s, given, connector, previous);
	if (result < 0) {
		egd_server_stop(&s, false);
		return result;
	}
	log_info("listen %s: %s", config->name, config->address);
	warn_of(config);
	*ret = s;
	return 0;
}

void
egd_server_use_tls(struct egd_server *s, const int *channel)
{
	s->tls = channel;
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void
egd_server_stop(struct egd_server **server, bool resumed)
{
	struct egd_server *s = *server;

	if (s == NULL)
		return;
	while (!LIST_EMPTY(&s->connections))
		egd_connection_free(LIST_FIRST(&s->connections), EGD_END_DONE);
	free_event(s->accept);
	free_event(s->accept_again);
	free_event(s->work);
	if (s->fd >= 0 && resumed)
		close(s->fd);
	else if (s->fd >= 0)
		egd_listener_close(s->config.address, s->fd);
	egd_xen_free(&s->xen);
	egd_members_finish(&s->members);
	slots_finish(&s->outs);
	free(s);
	*server = NULL;
}

bool
egd_server_flush(struct egd_server *s)
{
	struct egd_connection *c;
	bool flushed = true;

	LIST_FOREACH(c, &s->connections, in_connections)
	flushed = (egd_answers_send(c) != -EAGAIN || c->out_at == 0) && flushed;
	return flushed;
}

int
egd_server_socket(const struct egd_server *s)
{
	return egd_listener_given_name(s->config.address) == NULL ? s->fd : -1;
}

/* ---- status ---- */

void
egd_server_status(const struct egd_server *s, struct egd_server_status *ret)
{
	*ret = (struct egd_server_status){
		.name = s->config.name,
		.address = s->config.address,
		.clients = s->clients,
		.accepted = s->accepted,
		.throttled = s->throttled,
		.account = s->account,
	};
	memcpy(ret->ended, s->ended, sizeof(ret->ended));
}

const char *
egd_end_text(enum egd_end end)
{
	static const char *const texts[EGD_ENDS] = {
		[EGD_END_DONE] = "done",       [EGD_END_LOST] = "lost",
		[EGD_END_IDLE] = "idle",       [EGD_END_SLOW] = "slow",
		[EGD_END_UNKNOWN] = "unknown", [EGD_END_START] = "start",
		[EGD_END_REFUSED] = "refused"};

	return texts[end];
}
