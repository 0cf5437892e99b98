/* SPDX-License-Identifier: MIT */
#include "egd/server/egd_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egd/server/connection.h"
#include "egd/server/listener.h"
#include "egd/server/xen.h"
#include "lib/acceptor.h"
#include "lib/clock.h"
#include "lib/net.h"

#define START_S 10     /* for a PROXY header and a TLS handshake together */
#define SLOW_S 30      /* without reading a byte of replies that fill the socket */
#define HALF_S 30      /* for a reply to a client that has shut down its sending: doc/egd.md 0.3 */
#define LEFT_MIN 1024  /* identities without a connection that are kept at least */
#define ACCEPTS_MAX 64 /* connections accepted before others are served */
#define FDS_KEPT 128   /* for the control socket, and for sources that come back */
#define HANDSHAKES_MAX 512 /* unfinished at once */

struct egd_server {
	struct egd_shared shared;
	struct egd_listen_config config;
	struct egd_acl allow;
	struct egd_proxies proxies;
	int fd; /* of the listening socket; -1: none */
	struct acceptor acceptor;
	struct egd_xen *xen;                     /* connects to guests instead; or NULL */
	struct event *work;                      /* serves those in `due` */
	TAILQ_HEAD(egd_due, egd_connection) due; /* in turn */
	LIST_HEAD(, egd_connection) connections; /* all */
	TAILQ_HEAD(, egd_connection) handshakes; /* unfinished ones, oldest first */
	unsigned handshakes_count;
	struct egd_identities identities;
	struct log_limit refused_limit;
};

/* ---- connections in turn ---- */

static void
schedule(struct egd_server *s, struct egd_connection *c)
{
	const struct timeval at_once = {0};

	if (c->due)
		return;
	if (TAILQ_EMPTY(&s->due))
		event_add(s->work, &at_once);
	TAILQ_INSERT_TAIL(&s->due, c, in_due);
	c->due = true;
}

static void
end_handshake(struct egd_server *s, struct egd_connection *c)
{
	TAILQ_REMOVE(&s->handshakes, c, in_handshakes);
	s->handshakes_count--;
}

static void
end_connection(struct egd_server *s, struct egd_connection *c, enum egd_end end)
{
	struct egd_identity *identity = c->identity;
	const char *guest = c->peer.guest;

	if (c->due)
		TAILQ_REMOVE(&s->due, c, in_due);
	LIST_REMOVE(c, in_connections);
	if (c->stage != EGD_STAGE_OPEN)
		end_handshake(s, c);
	s->shared.status.clients--;
	s->shared.status.ended[end]++;
	egd_connection_free(c);
	egd_identities_leave(&s->identities, identity);
	if (guest != NULL)
		egd_xen_left(s->xen, guest);
}

/* ---- admission ---- */

static const char not_allowed[] = "its address is not in allow";

/* A proxy may ask for itself, as its health checks do; its clients are checked by their own. */
static bool
is_allowed(const struct egd_server *s, const struct egd_peer *peer)
{
	sa_family_t family = peer->address.any.sa_family;

	return s->allow.count == 0 || (family != AF_INET && family != AF_INET6) ||
	       egd_acl_have(&s->allow, &peer->address) ||
	       egd_acl_have(&s->proxies.networks, &peer->address);
}

/*
 * The last quarter of the places is for identities without a connection, so that no client can shut
 * others out. Half of it is for IPv6 networks without one, for a client may have all addresses of
 * its network.
 */
static bool
has_its_share(const struct egd_server *s, const struct pool_client *client)
{
	unsigned left = s->config.max_clients - s->shared.status.clients;
	unsigned last = s->config.max_clients / 4;
	struct pool_client network;

	return (left < last && egd_identities_has(&s->identities, client)) ||
	       (left < (last + 1) / 2 && pool_client_network(client, &network) &&
		egd_identities_has(&s->identities, &network));
}

/* Opens the connection for requests. Returns NULL, or the reason for which the client is refused.
 */
static const char *
admit(struct egd_server *s, struct egd_connection *c)
{
	struct pool_client client = {.weight = s->config.weight, .whole = true};
	struct egd_identity *identity;
	struct token_bucket full;

	if (!is_allowed(s, &c->peer))
		return not_allowed;
	egd_peer_identity(&c->peer, &client);
	if (has_its_share(s, &client))
		return "it has connections, and the last quarter of max-clients is for others";
	if (!pool_handle_open(s->shared.pool, &c->handle, &s->shared.status.account, &client))
		return "the pool has no place for another client";
	token_bucket_init(&full, s->config.rate, s->config.burst, clock_now_ms());
	identity = egd_identities_join(&s->identities, &client, &full);
	if (identity == NULL) {
		pool_handle_close(s->shared.pool, &c->handle);
		return "no memory";
	}
	end_handshake(s, c);
	egd_connection_open(c, identity);
	return NULL;
}

static void
on_verdict(struct egd_connection *c, enum egd_verdict verdict)
{
	struct egd_server *s = c->server;

	if (verdict == EGD_ADMIT) {
		const char *why = admit(s, c);

		if (why != NULL) {
			egd_connection_log_closed(c, why);
			end_connection(s, c, EGD_END_REFUSED);
			return;
		}
		verdict = egd_connection_work(c);
	}
	if (verdict == EGD_CLOSE)
		end_connection(s, c, c->end);
	else if (verdict == EGD_AGAIN)
		schedule(s, c);
}

/* Serves each connection that is due now once; those that become due meanwhile have to wait. */
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
		on_verdict(c, egd_connection_work(c));
	}
	if (!TAILQ_EMPTY(&s->due))
		event_add(s->work, &at_once);
}

/* ---- accepting ---- */

static void
refuse(struct egd_server *s, int fd, const struct egd_peer *peer, const char *why)
{
	char text[EGD_PEER_TEXT_MAX];

	s->shared.status.ended[EGD_END_REFUSED]++;
	close(fd);
	if (peer->guest != NULL)
		egd_xen_left(s->xen, peer->guest);
	egd_peer_text(peer, text);
	log_warn_limited(&s->refused_limit, egd_peer_number(peer), clock_now_ms(),
			 "listen %s: refused %s: %s (%u clients are connected)", s->config.name,
			 text, why, s->shared.status.clients);
}

/* Evicts the oldest unfinished handshake, so that idle connections cannot exhaust max-clients. */
static void
make_room(struct egd_server *s)
{
	struct egd_connection *oldest = TAILQ_FIRST(&s->handshakes);

	if (oldest == NULL || (s->shared.status.clients < s->config.max_clients &&
			       s->handshakes_count < HANDSHAKES_MAX))
		return;
	egd_connection_log_closed(
		oldest, "its PROXY header or TLS handshake was unfinished, and its place needed");
	end_connection(s, oldest, EGD_END_START);
}

static void
add_connection(struct egd_server *s, int fd, const struct egd_peer *peer)
{
	bool proxied = egd_proxies_have(&s->proxies, &peer->address, peer->uid);
	const char *why = is_allowed(s, peer) ? NULL : not_allowed;
	struct egd_connection *c = NULL;

	if (why == NULL) {
		make_room(s);
		if (s->shared.status.clients >= s->config.max_clients)
			why = "max-clients is reached";
		else if ((c = egd_connection_new(&s->shared, fd, peer, proxied)) == NULL)
			why = "no memory";
	}
	if (c == NULL) {
		refuse(s, fd, peer, why);
		return;
	}
	c->server = s;
	LIST_INSERT_HEAD(&s->connections, c, in_connections);
	TAILQ_INSERT_TAIL(&s->handshakes, c, in_handshakes);
	s->handshakes_count++;
	s->shared.status.clients++;
	s->shared.status.accepted++;
	on_verdict(c, egd_connection_work(c));
}

static void
on_accepted(void *arg, int fd, const struct address *address)
{
	struct egd_peer peer = {.address = *address};

	if (address->any.sa_family == AF_UNIX)
		peer.uid = net_peer_uid(fd);
	add_connection(arg, fd, &peer);
}

static void
on_guest(void *arg, int fd, const char *guest)
{
	const struct egd_peer peer = {.address.any.sa_family = AF_UNIX, .guest = guest};

	add_connection(arg, fd, &peer);
}

/* ---- life ---- */

/* Returns a limit that many events share: libevent keeps them in a list, not in a heap. */
static const struct timeval *
shared_limit(struct event_base *base, uint64_t ms)
{
	const struct timeval limit = clock_timeval(ms);

	return event_base_init_common_timeout(base, &limit);
}

/* The channel of a Xen guest takes the place of no other client, and may be idle. */
static bool
make_events(struct egd_server *s)
{
	struct egd_shared *shared = &s->shared;

	shared->start_limit = shared_limit(shared->base, START_S * 1000);
	shared->slow_limit = shared_limit(shared->base, SLOW_S * 1000);
	shared->half_limit = shared_limit(shared->base, HALF_S * 1000);
	if (s->xen == NULL)
		shared->idle_limit = shared_limit(shared->base, s->config.idle_ms);
	s->work = evtimer_new(shared->base, on_work, s);
	s->acceptor = (struct acceptor){.kind = "listen",
					.name = s->config.name,
					.batch = ACCEPTS_MAX,
					.spare_fds = FDS_KEPT,
					.accepted = on_accepted,
					.arg = s};
	return shared->start_limit != NULL && shared->slow_limit != NULL &&
	       shared->half_limit != NULL && (s->xen != NULL || shared->idle_limit != NULL) &&
	       s->work != NULL && (s->fd < 0 || acceptor_start(&s->acceptor, shared->base, s->fd));
}

/* Opens or resumes the listening socket, or watches for guests. 0, or -errno after a log line. */
static int
open_server(struct egd_server *s, int given, struct helper *connector, int previous)
{
	const struct egd_xen_env env = {
		.base = s->shared.base,
		.name = s->config.name,
		.directory = egd_listener_rest(s->config.address, EGD_LISTEN_XEN),
		.connector = connector,
		.connected = on_guest,
		.arg = s,
	};

	if (env.directory == NULL)
		s->fd = egd_listener_open(&s->config, given, previous);
	else if (connector == NULL || (s->xen = egd_xen_new(&env)) == NULL)
		return -EIO;
	if (env.directory == NULL && s->fd < 0)
		return s->fd;
	if (slab_init(&s->shared.outs, EGD_OUT_LEN, s->config.max_clients) && make_events(s))
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
	s->config = *config;
	s->shared = (struct egd_shared){
		.base = base,
		.pool = pool,
		.name = s->config.name,
		.is_tls = egd_listener_is_tls(config),
		.greet = config->greet,
		.status = {.name = s->config.name, .address = s->config.address},
		.act = on_verdict,
	};
	s->fd = -1;
	(void)egd_acl_parse(config->allow, &s->allow);
	(void)egd_proxies_parse(config->proxy_from, &s->proxies);
	TAILQ_INIT(&s->due);
	LIST_INIT(&s->connections);
	TAILQ_INIT(&s->handshakes);
	egd_identities_init(&s->identities, config->max_clients + LEFT_MIN);
	result = open_server(s, given, connector, previous);
	if (result < 0) {
		egd_server_stop(&s, false);
		return result;
	}
	log_info("listen %s: %s", config->name, config->address);
	egd_listener_warn(config);
	*ret = s;
	return 0;
}

void
egd_server_use_tls(struct egd_server *s, const int *channel)
{
	s->shared.tls = channel;
}

void
egd_server_stop(struct egd_server **server, bool resumed)
{
	struct egd_server *s = *server;

	if (s == NULL)
		return;
	while (!LIST_EMPTY(&s->connections))
		end_connection(s, LIST_FIRST(&s->connections), EGD_END_DONE);
	acceptor_stop(&s->acceptor);
	if (s->work != NULL)
		event_free(s->work);
	if (s->fd >= 0 && resumed)
		close(s->fd);
	else if (s->fd >= 0)
		egd_listener_close(s->config.address, s->fd);
	egd_xen_free(&s->xen);
	egd_identities_finish(&s->identities);
	slab_finish(&s->shared.outs);
	free(s);
	*server = NULL;
}

bool
egd_server_flush(struct egd_server *s)
{
	struct egd_connection *c;
	bool flushed = true;

	LIST_FOREACH(c, &s->connections, in_connections)
	flushed = egd_connection_flush(c) && flushed;
	return flushed;
}

unsigned
egd_server_renew(struct egd_server *s)
{
	struct egd_connection *next;
	unsigned closed = 0;

	for (struct egd_connection *c = LIST_FIRST(&s->connections); c != NULL; c = next) {
		next = LIST_NEXT(c, in_connections);
		if (!egd_connection_holds_bytes(c) && !s->shared.is_tls)
			continue;
		end_connection(s, c, EGD_END_LOST);
		closed++;
	}
	return closed;
}

int
egd_server_socket(const struct egd_server *s)
{
	return egd_listener_rest(s->config.address, EGD_LISTEN_SYSTEMD) == NULL ? s->fd : -1;
}

void
egd_server_status(const struct egd_server *s, struct egd_server_status *ret)
{
	*ret = s->shared.status;
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
