/* SPDX-License-Identifier: MIT */
#include "egd/egd_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "egd/inside.h"
#include "egd/listener.h"

#define ACCEPTS_MAX 64 /* connections that are taken before others are served */
#define START_S 10     /* for a PROXY header and TLS's handshake together */
#define SLOW_S 30      /* without reading a byte of replies that fill the socket */
#define HALF_S 30     /* for a reply that is owed to a client which sends no more: see EGD.md 0.3 */
#define LEFT_MIN 1024 /* identities that are remembered at least when they have left */

/* ---- taking connections ---- */

static void
refuse(struct egd_server *s, int fd, const struct egd_caller *caller, const char *why)
{
	char who[EGD_CALLER_TEXT_MAX];
	unsigned more;

	s->refused++;
	close(fd);
	if (caller->guest != NULL)
		egd_xen_left(s->xen, caller->guest);
	if (!log_limit_pass(&s->refused_limit, clock_now_ms(), &more))
		return;
	egd_caller_text(caller, "", who);
	log_warn("listen %s: refused %s: %s (%u clients are there)", s->config.name, who, why,
		 s->clients);
}

/* Whose address counts and is known: a proxy's clients are looked at when its header is there. */
static bool
is_allowed(const struct egd_server *s, const struct egd_caller *caller)
{
	sa_family_t family = caller->address.any.sa_family;

	return s->allow.count == 0 || (family != AF_INET && family != AF_INET6) ||
	       egd_networks_have(&s->allow, &caller->address);
}

static const char not_allowed[] = "its address is not in allow";

static void
take(struct egd_server *s, int fd, const struct egd_caller *caller)
{
	bool proxy = egd_networks_have(&s->proxies, &caller->address);
	struct egd_connection *c;

	if (!proxy && !is_allowed(s, caller)) {
		refuse(s, fd, caller, not_allowed);
	} else if (s->clients >= s->config.max_clients) {
		refuse(s, fd, caller, "there are max-clients");
	} else if ((c = egd_connection_new(s, fd, caller)) == NULL) {
		refuse(s, fd, caller, "no memory");
	} else {
		s->accepted++;
		egd_connection_work(c);
	}
}

static void
on_guest(void *arg, int fd, const char *guest)
{
	const struct egd_caller caller = {.address.any.sa_family = AF_UNIX, .guest = guest};

	take(arg, fd, &caller);
}

/* Out of fds or memory: the listener would be ready again at once, for ever. Rest for a second. */
static void
rest(struct egd_server *s, int error)
{
	const struct timeval second = {.tv_sec = 1};
	unsigned more;

	if (log_limit_pass(&s->refused_limit, clock_now_ms(), &more))
		log_warn("listen %s: cannot accept a client: %s", s->config.name, strerror(error));
	event_del(s->accept);
	event_add(s->accept_again, &second);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct egd_server *s = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		struct egd_caller caller;
		int fd = egd_caller_accept(listener, &caller);

		if (fd == -EAGAIN)
			return;
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
			rest(s, -fd);
			return;
		}
		if (fd >= 0) /* else the client has gone already */
			take(s, fd, &caller);
	}
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct egd_server *s = arg;

	(void)fd, (void)what;
	event_add(s->accept, NULL);
}

/* The last quarter of the places is for those who have none yet: nobody can shut others out. */
static bool
has_its_share(struct egd_server *s, const struct pool_client *client)
{
	return s->clients > s->config.max_clients - s->config.max_clients / 4 &&
	       egd_members_has(&s->members, client);
}

const char *
egd_server_admit(struct egd_server *s, struct egd_connection *c)
{
	struct pool_client client = {.weight = s->config.weight, .whole = true};
	struct bucket full;

	if (!is_allowed(s, &c->caller))
		return not_allowed;
	egd_caller_identity(&c->caller, egd_stream_peer(&c->stream), &client);
	if (has_its_share(s, &client))
		return "it has connections, and the last places are for others (max-clients)";
	if (!pool_handle_open(s->pool, &c->handle, &s->account, &client))
		return "the pool serves as many as it can";
	bucket_init(&full, s->config.rate, s->config.burst, clock_now_ms());
	c->member = egd_members_join(&s->members, &client, &full);
	if (c->member != NULL)
		return NULL;
	pool_handle_close(s->pool, &c->handle);
	return "no memory";
}

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
	const struct timeval limit = {.tv_sec = (time_t)(ms / 1000),
				      .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

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
	s->accept = event_new(base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	s->accept_again = evtimer_new(base, on_accept_again, s);
	s->work = evtimer_new(base, on_work, s);
	return s->limits.start != NULL && s->limits.slow != NULL && s->limits.half != NULL &&
	       (s->xen != NULL || s->limits.idle != NULL) && s->accept != NULL &&
	       s->accept_again != NULL && s->work != NULL &&
	       (s->fd < 0 || event_add(s->accept, NULL) == 0);
}

/* NULL, and a line in the log, when the files are bad. */
static struct tls_context *
read_tls(const struct egd_listen_config *config)
{
	const struct tls_config tls = {
		.server = true,
		.psk = config->psk[0] != '\0' ? config->psk : NULL,
		.cert = config->cert[0] != '\0' ? config->cert : NULL,
		.key = config->key[0] != '\0' ? config->key : NULL,
		.ca = config->ca[0] != '\0' ? config->ca : NULL,
	};
	char error[TLS_ERROR_MAX];
	struct tls_context *context = tls_context_new(&tls, error, sizeof(error));

	if (context == NULL)
		log_err("listen %s: %s", config->name, error);
	else if (tls_context_warning(context) != NULL)
		log_warn("listen %s: %s", config->name, tls_context_warning(context));
	return context;
}

/* Opens what clients come by. 0, or -errno after a line in the log, of ours or who gives. */
static int
open_way_in(struct egd_server *s, int given)
{
	const struct egd_xen_env env = {
		.base = s->base,
		.name = s->config.name,
		.directory = egd_listener_xen_directory(s->config.address),
		.connector = given,
		.taken = on_guest,
		.arg = s,
	};

	if (env.directory == NULL) {
		s->fd = egd_listener_open(&s->config, given);
		return s->fd < 0 ? s->fd : 0;
	}
	if (given >= 0)
		s->xen = egd_xen_new(&env);
	return s->xen != NULL ? 0 : -EIO;
}

static int
open_server(struct egd_server *s, int given)
{
	int result;

	if (egd_listener_is_tls(&s->config)) {
		s->tls = read_tls(&s->config);
		if (s->tls == NULL)
			return -EINVAL;
	}
	result = open_way_in(s, given);
	if (result < 0)
		return result;
	if (slots_init(&s->outs, EGD_OUT_LEN, s->config.max_clients) && make_events(s))
		return 0;
	log_err("listen %s: no memory", s->config.name);
	return -ENOMEM;
}

int
egd_server_start(struct event_base *base, struct pool *pool, const struct egd_listen_config *config,
		 int given, struct egd_server **ret)
{
	struct egd_server *s = calloc(1, sizeof(*s));
	int result;

	if (s == NULL)
		return -ENOMEM;
	s->base = base;
	s->pool = pool;
	s->config = *config;
	s->fd = -1;
	(void)egd_networks_parse(config->allow, &s->allow);
	(void)egd_networks_parse(config->proxy_from, &s->proxies);
	TAILQ_INIT(&s->due);
	LIST_INIT(&s->connections);
	egd_members_init(&s->members, config->max_clients + LEFT_MIN);
	result = open_server(s, given);
	if (result < 0)
		egd_server_stop(&s);
	else
		log_info("listen %s: %s", config->name, config->address);
	if (result == 0)
		*ret = s;
	return result;
}

void
egd_server_reload(struct egd_server *s)
{
	struct tls_context *context;

	if (s->tls == NULL)
		return;
	context = read_tls(&s->config);
	if (context == NULL) {
		log_warn("listen %s: goes on with the keys it had", s->config.name);
		return;
	}
	tls_context_free(&s->tls);
	s->tls = context;
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void
egd_server_stop(struct egd_server **server)
{
	struct egd_server *s = *server;

	if (s == NULL)
		return;
	while (!LIST_EMPTY(&s->connections))
		egd_connection_free(LIST_FIRST(&s->connections), EGD_END_DONE);
	free_event(s->accept);
	free_event(s->accept_again);
	free_event(s->work);
	if (s->fd >= 0)
		egd_listener_close(&s->config, s->fd);
	egd_xen_free(&s->xen);
	egd_members_finish(&s->members);
	slots_finish(&s->outs);
	tls_context_free(&s->tls);
	free(s);
	*server = NULL;
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
		.refused = s->refused,
		.throttled = s->throttled,
		.account = s->account,
	};
	memcpy(ret->ended, s->ended, sizeof(ret->ended));
}

const char *
egd_end_text(enum egd_end end)
{
	static const char *const texts[EGD_ENDS] = {
		[EGD_END_DONE] = "done", [EGD_END_LOST] = "lost",       [EGD_END_IDLE] = "idle",
		[EGD_END_SLOW] = "slow", [EGD_END_UNKNOWN] = "unknown", [EGD_END_START] = "start"};

	return texts[end];
}
