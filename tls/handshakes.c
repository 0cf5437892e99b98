/* SPDX-License-Identifier: MIT */
/*
 * Connections until both ends have proven themselves. What strangers can have is bounded: a few
 * handshakes at once, of one address only a part of them, none before its peer has sent something;
 * the others wait, and are dropped at random before there are too many.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/util.h>

#include "base/clock.h"
#include "egd/proxy.h"
#include "tls/service.h"

#define AT_ONCE 8         /* handshakes; OpenSSL gives each some 100 KiB */
#define AT_ONCE_CLIENT 4  /* of them of one address */
#define WAITING_MANY 128  /* connections that wait: from here on some are dropped ... */
#define WAITING_MAX 256   /* ... here all are ... */
#define WAITING_CLIENT 16 /* ... and all of an address that has so many */
#define TURN_MS 5         /* of handshakes, before open connections and orders have their turn */
#define SILENT_MS 1000    /* of a peer in its handshake, while others wait */

static const struct timeval at_once = {0};

/* ---- life ---- */

static struct connections *
list_of(const struct connection *c)
{
	return c->stage == STAGE_WAITING ? &c->service->waiting : &c->service->shaking;
}

/* It is none of those that have not begun any more. */
static void
leave_stage(struct connection *c)
{
	if (c->stage == STAGE_OPEN)
		return;
	TAILQ_REMOVE(list_of(c), c, in_stage);
	if (c->stage == STAGE_WAITING)
		c->service->waiting_count--;
	else
		c->service->shaking_count--;
	event_add(c->service->work, &at_once); /* another one may begin */
}

void
handshakes_free(struct connection *c, bool farewell)
{
	leave_stage(c);
	if (c->due)
		TAILQ_REMOVE(&c->service->due, c, in_due);
	LIST_REMOVE(c, in_all);
	if (farewell && c->tls != NULL && c->stage == STAGE_OPEN)
		(void)tls_close(c->tls);
	tls_free(&c->tls);
	if (c->on_net != NULL)
		event_free(c->on_net);
	if (c->on_plain != NULL)
		event_free(c->on_plain);
	(void)shutdown(c->net, SHUT_RDWR); /* the daemon may have a copy */
	close(c->net);
	close(c->plain);
	free(c->peer_name);
	if (c->service->ended && LIST_EMPTY(&c->service->all))
		event_base_loopbreak(c->service->base);
	free(c);
}

/* The first bytes for the daemon, for which a new socket always has room. */
static void
tell(const struct connection *c, const char *identity, const char *refusal)
{
	uint8_t header[EGD_PROXY_MAX];
	size_t len = egd_proxy_put(identity, refusal, header);

	(void)!send(c->plain, header, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
handshakes_refuse(struct connection *c, const char *why)
{
	tell(c, "", why);
	handshakes_free(c, false);
}

/* ---- steps ---- */

static void
make_due(struct connection *c)
{
	struct service *s = c->service;

	if (c->due)
		return;
	TAILQ_INSERT_TAIL(&s->due, c, in_due);
	c->due = true;
	event_add(s->work, &at_once);
}

static void
take_step(struct connection *c)
{
	int result = tls_handshake(c->tls);

	c->moved_ms = clock_now_ms();
	if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
		return;
	if (result < 0) {
		handshakes_refuse(c, tls_error_text(c->tls));
		return;
	}
	leave_stage(c);
	c->stage = STAGE_OPEN;
	tell(c, tls_peer(c->tls), "");
	relay_go_on(c);
}

static unsigned
count_of(const struct connections *list, uint64_t client)
{
	const struct connection *c;
	unsigned count = 0;

	TAILQ_FOREACH(c, list, in_stage)
	count += c->peer_name == NULL && c->client == client;
	return count;
}

/* The first that may begin; NULL: none. */
static struct connection *
next_of(const struct service *s)
{
	struct connection *c;

	TAILQ_FOREACH(c, &s->waiting, in_stage)
	if (c->ready && (c->peer_name != NULL || count_of(&s->shaking, c->client) < AT_ONCE_CLIENT))
		break;
	return c;
}

static void
begin(struct connection *c)
{
	struct service *s = c->service;
	char error[TLS_ERROR_MAX] = "its keys could not be read";
	struct tls_context *own = c->peer_name != NULL ? sections_client_context(c, error) : NULL;
	struct tls_context *context = own != NULL ? own : c->section->context;

	leave_stage(c);
	c->stage = STAGE_SHAKING;
	TAILQ_INSERT_TAIL(&s->shaking, c, in_stage);
	s->shaking_count++;
	if (context != NULL)
		c->tls = tls_new(context, c->net);
	tls_context_free(&own);
	c->moved_ms = clock_now_ms();
	if (c->tls == NULL)
		handshakes_refuse(c, error);
	else
		make_due(c);
}

/* As many as may be at it at once; while others wait, silent ones are looked for. */
static void
begin_more(struct service *s)
{
	const struct timeval silent = {.tv_sec = SILENT_MS / 1000};
	struct connection *c = NULL;

	while (s->shaking_count < AT_ONCE && (c = next_of(s)) != NULL)
		begin(c);
	TAILQ_FOREACH(c, &s->waiting, in_stage)
	if (c->ready)
		break;
	if (c != NULL && !event_pending(s->overdue, EV_TIMEOUT, NULL))
		event_add(s->overdue, &silent);
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	uint64_t until_ms = clock_now_ms() + TURN_MS;
	struct connection *c;

	(void)fd, (void)what;
	begin_more(s);
	while ((c = TAILQ_FIRST(&s->due)) != NULL && clock_now_ms() < until_ms) {
		TAILQ_REMOVE(&s->due, c, in_due);
		c->due = false;
		take_step(c);
	}
	if (!TAILQ_EMPTY(&s->due))
		event_add(s->work, &at_once);
}

static void
on_overdue(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	struct connection *c = TAILQ_FIRST(&s->shaking);
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	while (c != NULL) {
		struct connection *next = TAILQ_NEXT(c, in_stage);

		if (!c->due && now_ms - c->moved_ms >= SILENT_MS)
			handshakes_refuse(c, "it was silent in the handshake, and others waited");
		c = next;
	}
	begin_more(s);
}

/* ---- events ---- */

static void
on_net(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	if (c->stage == STAGE_OPEN) {
		relay_go_on(c);
	} else if (c->stage == STAGE_SHAKING) {
		make_due(c);
	} else if ((what & EV_READ) != 0) {
		c->ready = true;
		event_add(c->service->work, &at_once);
	}
}

/* Before it is open the daemon sends nothing: it has given up. */
static void
on_plain(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	if (c->stage == STAGE_OPEN)
		relay_go_on(c);
	else if ((what & EV_READ) != 0)
		handshakes_free(c, false);
}

/* Early, so that there is always a place for others: the more wait, the likelier. */
static bool
is_dropped(const struct service *s, uint64_t client)
{
	unsigned waiting = s->waiting_count;
	uint8_t chance;

	if (waiting < WAITING_MANY)
		return false;
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		chance = 0;
	return waiting >= WAITING_MAX || count_of(&s->waiting, client) >= WAITING_CLIENT ||
	       chance % (WAITING_MAX - WAITING_MANY) < waiting - WAITING_MANY;
}

static bool
set_up(struct connection *c, const struct tls_order *order)
{
	const short events = EV_READ | EV_WRITE | EV_ET | EV_PERSIST;
	struct event_base *base = c->service->base;

	c->client = order->client;
	c->ready = order->kind == TLS_CONNECT; /* a client begins */
	if (order->kind == TLS_CONNECT && (c->peer_name = strdup(order->peer_name)) == NULL)
		return false;
	c->on_net = event_new(base, c->net, events, on_net, c);
	c->on_plain = event_new(base, c->plain, events, on_plain, c);
	return c->on_net != NULL && c->on_plain != NULL && event_add(c->on_net, NULL) == 0 &&
	       event_add(c->on_plain, NULL) == 0 && evutil_make_socket_nonblocking(c->net) == 0 &&
	       evutil_make_socket_nonblocking(c->plain) == 0;
}

void
handshakes_take(struct service *s, const struct tls_order *order, const int fds[static 2])
{
	struct connection *c = calloc(1, sizeof(*c));
	bool good;

	if (c == NULL) {
		close(fds[0]);
		close(fds[1]);
		return;
	}
	c->service = s;
	c->net = fds[0];
	c->plain = fds[1];
	c->section = sections_find(s, order->section);
	LIST_INSERT_HEAD(&s->all, c, in_all);
	TAILQ_INSERT_TAIL(&s->waiting, c, in_stage);
	good = set_up(c, order);
	s->waiting_count++;
	if (!good)
		handshakes_refuse(c, "no memory");
	else if (c->section == NULL || c->section->keys.server != (order->kind == TLS_ACCEPT))
		handshakes_refuse(c, "ekey-tls has no keys for it");
	else if (c->peer_name == NULL && is_dropped(s, c->client))
		handshakes_refuse(c, "too many TLS handshakes wait");
	else
		event_add(s->work, &at_once);
}

bool
handshakes_init(struct service *s)
{
	LIST_INIT(&s->all);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->shaking);
	TAILQ_INIT(&s->due);
	s->work = evtimer_new(s->base, on_work, s);
	s->overdue = evtimer_new(s->base, on_overdue, s);
	return s->work != NULL && s->overdue != NULL;
}

void
handshakes_finish(struct service *s)
{
	while (!LIST_EMPTY(&s->all))
		handshakes_free(LIST_FIRST(&s->all), false); /* NOLINT: it takes it out */
	if (s->work != NULL)
		event_free(s->work);
	if (s->overdue != NULL)
		event_free(s->overdue);
}
