/* SPDX-License-Identifier: MIT */
#include "egd/tls/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/util.h>

#include "egd/proxy.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"

#define AT_ONCE 8                  /* handshakes; OpenSSL gives each some 100 KiB */
#define AT_ONCE_CLIENT 4           /* of them of one address */
#define WAITING_MANY 128           /* connections that wait: from here on some are dropped ... */
#define WAITING_MAX 256            /* ... here all are ... */
#define WAITING_CLIENT 16          /* ... and all of an address that has so many */
#define TURN_MS 5                  /* of handshakes, before open connections and orders */
#define SILENT_S 1                 /* of a peer in its handshake, while others wait */
#define SCRATCH_LEN 16384          /* bytes that are carried at once: a TLS record */
#define TURN_LEN (4 * SCRATCH_LEN) /* bytes of one connection before the next one's turn */

struct connection {
	struct connections *all;
	struct section *section;
	struct tls_order order;
	struct tls *tls; /* NULL while it waits */
	int net, plain;
	struct event *on_net, *on_plain;
	enum stage stage;
	bool ready;        /* before it is open: its peer has sent bytes that were not looked at */
	bool net_ended;    /* the peer has sent close_notify */
	uint64_t moved_ms; /* the last step of its handshake */
	TAILQ_ENTRY(connection) entry;
};

static const struct timeval at_once = {0};

/* ---- life ---- */

static bool
is_client(const struct connection *c)
{
	return c->order.kind == TLS_CONNECT;
}

static void
enter(struct connection *c, enum stage stage)
{
	c->stage = stage;
	TAILQ_INSERT_TAIL(&c->all->in[stage], c, entry);
	c->all->count[stage]++;
}

static void
leave(struct connection *c)
{
	TAILQ_REMOVE(&c->all->in[c->stage], c, entry);
	c->all->count[c->stage]--;
	if (c->stage != STAGE_OPEN)
		event_add(c->all->work, &at_once); /* another handshake may begin */
}

bool
connections_are_none(const struct connections *all)
{
	return all->count[STAGE_WAITING] + all->count[STAGE_SHAKING] + all->count[STAGE_OPEN] == 0;
}

static void
end(struct connection *c, bool farewell)
{
	leave(c);
	if (farewell && c->stage == STAGE_OPEN)
		(void)tls_close(c->tls);
	tls_free(&c->tls);
	if (c->on_net != NULL)
		event_free(c->on_net);
	if (c->on_plain != NULL)
		event_free(c->on_plain);
	(void)shutdown(c->net, SHUT_RDWR); /* the daemon may have a copy */
	close(c->net);
	close(c->plain);
	if (c->all->ended && connections_are_none(c->all))
		event_base_loopbreak(c->all->base);
	free(c);
}

/* Sends the first bytes for the daemon, for which a new socket always has room. */
static void
send_header(const struct connection *c, const char *identity, const char *refusal)
{
	uint8_t header[EGD_PROXY_MAX];
	size_t len = egd_proxy_put(identity, refusal, header);

	(void)!send(c->plain, header, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Ends a connection that never opened; the daemon gets the cause. */
static void
refuse(struct connection *c, const char *why)
{
	send_header(c, "", why);
	end(c, false);
}

void
connections_end(struct connections *all, const struct section *section, bool farewell)
{
	struct connection *c, *next;

	for (enum stage stage = 0; stage < STAGES; stage++)
		for (c = TAILQ_FIRST(&all->in[stage]); c != NULL; c = next) {
			next = TAILQ_NEXT(c, entry);
			if (section == NULL || c->section == section)
				end(c, farewell);
		}
}

void
connections_end_revoked(struct connections *all, const struct section *section)
{
	struct connection *c, *next;

	for (c = TAILQ_FIRST(&all->in[STAGE_SHAKING]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->section == section)
			refuse(c, "the keys have changed");
	}
	for (c = TAILQ_FIRST(&all->in[STAGE_OPEN]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->section == section && tls_is_revoked(c->tls, section->context))
			end(c, true);
	}
}

/* ---- open connections ---- */

/*
 * Nothing is held here: bytes are looked at, sent on, and taken only when they are sent, so that a
 * slow reader fills the buffers of the sockets and nothing else. Both functions return the bytes
 * carried, 0 to wait, or -1: there is nothing more to carry.
 */
static ssize_t
carry_to_plain(struct connection *c)
{
	uint8_t *bytes = c->all->scratch;
	ssize_t n = c->net_ended ? TLS_WANT_READ : tls_peek(c->tls, bytes, SCRATCH_LEN), sent;

	if (n == TLS_WANT_READ || n == TLS_WANT_WRITE)
		return 0;
	if (n < 0) {
		/* Clients end at any time; the end of a server is logged. */
		if (is_client(c))
			log_info("%s: %s", c->order.section, tls_error_text(c->tls));
		return -1;
	}
	if (n == 0) {
		c->net_ended = true;
		return shutdown(c->plain, SHUT_WR) == 0 ? 0 : -1;
	}
	sent = send(c->plain, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		(void)tls_read(c->tls, bytes, (size_t)sent);
	secret_wipe(bytes, (size_t)n);
	return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
}

static ssize_t
carry_to_net(struct connection *c)
{
	uint8_t *bytes = c->all->scratch;
	ssize_t n = recv(c->plain, bytes, SCRATCH_LEN, MSG_PEEK | MSG_DONTWAIT), sent;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	sent = tls_write(c->tls, bytes, (size_t)n);
	if (sent > 0)
		(void)recv(c->plain, bytes, (size_t)sent, MSG_DONTWAIT);
	secret_wipe(bytes, (size_t)n);
	return sent > 0 ? sent : sent == TLS_WANT_READ || sent == TLS_WANT_WRITE ? 0 : -1;
}

/* Carries all that can be carried now, both ways. `c` may be freed. */
static void
carry(struct connection *c)
{
	for (ssize_t had = 0, in = 1, out = 1; in > 0 || out > 0; had += in + out) {
		if (had >= TURN_LEN) {
			event_active(c->on_plain, EV_READ, 0);
			return;
		}
		in = carry_to_plain(c);
		out = in < 0 ? -1 : carry_to_net(c);
		if (out < 0) {
			end(c, in >= 0);
			return;
		}
	}
}

/* ---- handshakes ---- */

static unsigned
count_of(const struct connections *all, enum stage stage, uint64_t client)
{
	const struct connection *c;
	unsigned count = 0;

	TAILQ_FOREACH(c, &all->in[stage], entry)
	count += !is_client(c) && c->order.client == client;
	return count;
}

/* Finds the first that is ready; unless `any`, of an address with handshakes left. NULL: none. */
static struct connection *
first_ready(const struct connections *all, enum stage stage, bool any)
{
	struct connection *c;

	TAILQ_FOREACH(c, &all->in[stage], entry)
	if (c->ready &&
	    (any || is_client(c) || count_of(all, STAGE_SHAKING, c->order.client) < AT_ONCE_CLIENT))
		break;
	return c;
}

static void
begin(struct connection *c)
{
	char error[TLS_ERROR_MAX] = "the keys of this section could not be read";
	struct tls_context *own = NULL, *context = c->section->context;

	leave(c);
	enter(c, STAGE_SHAKING);
	if (is_client(c))
		context = own = sections_read(&c->section->keys, c->order.peer_name, error);
	if (context != NULL)
		c->tls = tls_new(context, c->net);
	tls_context_free(&own);
	c->moved_ms = clock_now_ms();
	if (c->tls == NULL)
		refuse(c, error);
}

static void
begin_more(struct connections *all)
{
	const struct timeval silent = {.tv_sec = SILENT_S};
	struct connection *c;

	while (all->count[STAGE_SHAKING] < AT_ONCE &&
	       (c = first_ready(all, STAGE_WAITING, false)) != NULL)
		begin(c);
	if (first_ready(all, STAGE_WAITING, true) != NULL &&
	    !event_pending(all->silent, EV_TIMEOUT, NULL))
		event_add(all->silent, &silent);
}

/* Takes one step, and puts the connection behind the others. */
static void
take_step(struct connection *c)
{
	int result = tls_handshake(c->tls);

	c->ready = false;
	c->moved_ms = clock_now_ms();
	if (result < 0 && result != TLS_WANT_READ && result != TLS_WANT_WRITE) {
		refuse(c, tls_error_text(c->tls));
		return;
	}
	leave(c);
	enter(c, result == 0 ? STAGE_OPEN : STAGE_SHAKING);
	if (result == 0) {
		send_header(c, tls_peer(c->tls), "");
		carry(c);
	}
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct connections *all = arg;
	uint64_t until_ms = clock_now_ms() + TURN_MS;
	struct connection *c;

	(void)fd, (void)what;
	begin_more(all);
	while ((c = first_ready(all, STAGE_SHAKING, true)) != NULL && clock_now_ms() < until_ms)
		take_step(c);
	if (c != NULL)
		event_add(all->work, &at_once);
}

static void
on_silent(evutil_socket_t fd, short what, void *arg)
{
	struct connections *all = arg;
	struct connection *c, *next;
	uint64_t now_ms = clock_now_ms();

	(void)fd, (void)what;
	for (c = TAILQ_FIRST(&all->in[STAGE_SHAKING]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!c->ready && now_ms - c->moved_ms >= SILENT_S * 1000)
			refuse(c,
			       "it was silent in the TLS handshake while other connections waited");
	}
	begin_more(all);
}

/* ---- events ---- */

/* Of either socket. The daemon sends nothing before it is open: readable means closed. */
static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	if (c->stage == STAGE_OPEN) {
		carry(c);
	} else if (fd == c->net) {
		c->ready = c->ready || c->stage == STAGE_SHAKING || (what & EV_READ) != 0;
		event_add(c->all->work, &at_once);
	} else if ((what & EV_READ) != 0) {
		end(c, false);
	}
}

/* Drops at random before the queue is full, likelier the longer it is: new peers find a place. */
static bool
is_dropped(const struct connections *all, uint64_t client)
{
	unsigned waiting = all->count[STAGE_WAITING];
	uint8_t chance;

	if (waiting < WAITING_MANY)
		return false;
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		chance = 0;
	return waiting >= WAITING_MAX || count_of(all, STAGE_WAITING, client) >= WAITING_CLIENT ||
	       chance % (WAITING_MAX - WAITING_MANY) < waiting - WAITING_MANY;
}

static bool
watch(struct connection *c, int fd, struct event **ret)
{
	*ret = event_new(c->all->base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_socket, c);
	return *ret != NULL && event_add(*ret, NULL) == 0 &&
	       evutil_make_socket_nonblocking(fd) == 0;
}

void
connections_take(struct connections *all, struct section *section, const struct tls_order *order,
		 const int fds[static 2])
{
	struct connection *c = calloc(1, sizeof(*c));
	bool dropped = order->kind == TLS_ACCEPT && is_dropped(all, order->client);

	if (c == NULL) {
		close(fds[0]);
		close(fds[1]);
		return;
	}
	*c = (struct connection){.all = all,
				 .section = section,
				 .order = *order,
				 .net = fds[0],
				 .plain = fds[1],
				 .ready = order->kind == TLS_CONNECT}; /* a client begins */
	enter(c, STAGE_WAITING);
	if (!watch(c, c->net, &c->on_net) || !watch(c, c->plain, &c->on_plain))
		refuse(c, "no memory");
	else if (section == NULL || section->keys.server != (order->kind == TLS_ACCEPT))
		refuse(c, "ekey-tls has no keys for this section");
	else if (dropped)
		refuse(c, "too many TLS handshakes wait");
	else
		event_add(all->work, &at_once);
}

/* ---- all of them ---- */

bool
connections_init(struct connections *all, struct event_base *base)
{
	*all = (struct connections){.base = base, .scratch = secret_new(SCRATCH_LEN)};
	for (enum stage stage = 0; stage < STAGES; stage++)
		TAILQ_INIT(&all->in[stage]);
	all->work = evtimer_new(base, on_work, all);
	all->silent = evtimer_new(base, on_silent, all);
	return all->scratch != NULL && all->work != NULL && all->silent != NULL;
}

void
connections_finish(struct connections *all)
{
	connections_end(all, NULL, false);
	if (all->work != NULL)
		event_free(all->work);
	if (all->silent != NULL)
		event_free(all->silent);
	secret_free(all->scratch, SCRATCH_LEN);
}
