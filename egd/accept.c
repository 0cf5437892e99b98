/* SPDX-License-Identifier: MIT */
/* Who comes in: connections are taken, or refused. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "egd/inside.h"

#define ACCEPTS_MAX 64 /* connections that are taken before others are served */

/* Descriptors that are not for clients: an administrator must be able to ask, a source to return.
 */
#define FDS_KEPT (64 + ACCEPTS_MAX)

/*
 * Bytes that the kernel holds for a client that does not read (it doubles them): left to itself TCP
 * would take megabytes of entropy off the pool for each.
 */
#define SEND_BUFFER 32768

/* Clients that may be on their way in. */
#define OPENINGS_MAX 512

static void
refuse(struct egd_server *s, int fd, const struct egd_caller *caller, const char *why)
{
	char who[EGD_CALLER_TEXT_MAX];

	s->ended[EGD_END_REFUSED]++;
	close(fd);
	if (caller->guest != NULL)
		egd_xen_left(s->xen, caller->guest);
	egd_caller_text(caller, "", who);
	log_warn_limited(&s->refused_limit, egd_caller_number(caller), clock_now_ms(),
			 "listen %s: refused %s: %s (%u clients are there)", s->config.name, who,
			 why, s->clients);
}

/* A proxy may ask for itself, as its health checks do; its clients are looked at by their own. */
static bool
is_allowed(const struct egd_server *s, const struct egd_caller *caller)
{
	sa_family_t family = caller->address.any.sa_family;

	return s->allow.count == 0 || (family != AF_INET && family != AF_INET6) ||
	       egd_networks_have(&s->allow, &caller->address) ||
	       egd_networks_have(&s->proxies.networks, &caller->address);
}

static const char not_allowed[] = "its address is not in allow";

/* Best effort: where it cannot be, memory is bounded by the kernel's own limits. */
void
egd_accept_bound_buffer(int fd)
{
	const int len = SEND_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
}

/* Nobody can keep the places of others by never beginning: who is at it the longest gives way. */
static void
make_room(struct egd_server *s)
{
	struct egd_connection *oldest = TAILQ_FIRST(&s->openings);

	if (oldest == NULL ||
	    (s->clients < s->config.max_clients && s->openings_count < OPENINGS_MAX))
		return;
	egd_connection_say_end(oldest, "it had not begun yet, and others want its place");
	egd_connection_free(oldest, EGD_END_START);
}

static void
take(struct egd_server *s, int fd, const struct egd_caller *caller)
{
	struct egd_connection *c;

	if (!is_allowed(s, caller)) {
		refuse(s, fd, caller, not_allowed);
		return;
	}
	make_room(s);
	if (s->clients >= s->config.max_clients) {
		refuse(s, fd, caller, "there are max-clients");
	} else if ((c = egd_connection_new(s, fd, caller)) == NULL) {
		refuse(s, fd, caller, "no memory");
	} else {
		s->accepted++;
		egd_accept_bound_buffer(fd);
		egd_connection_work(c);
	}
}

void
egd_accept_guest(void *arg, int fd, const char *guest)
{
	const struct egd_caller caller = {.address.any.sa_family = AF_UNIX, .guest = guest};

	take(arg, fd, &caller);
}

/* A place in the pool, and among those of its identity. NULL, or why there is none. */
static const char *
seat(struct egd_server *s, struct egd_connection *c, const struct pool_client *client)
{
	struct bucket full;

	if (!pool_handle_open(s->pool, &c->handle, &s->account, client))
		return "the pool serves as many as it can";
	bucket_init(&full, s->config.rate, s->config.burst, clock_now_ms());
	c->member = egd_members_join(&s->members, client, &full);
	if (c->member != NULL)
		return NULL;
	pool_handle_close(s->pool, &c->handle);
	return "no memory";
}

/* Out of fds or memory: the listener would be ready again at once, for ever. Rest for a second. */
static void
rest(struct egd_server *s, int error)
{
	const struct timeval second = {.tv_sec = 1};

	log_warn_limited(&s->rest_limit, 0, clock_now_ms(), "listen %s: cannot accept a client: %s",
			 s->config.name, strerror(error));
	event_del(s->accept);
	event_add(s->accept_again, &second);
}

/* The next descriptor is the lowest that is free, which is seen by having it. */
static bool
fds_are_short(int listener)
{
	struct rlimit limit;
	int next = fcntl(listener, F_DUPFD_CLOEXEC, 0);

	if (next >= 0)
		close(next);
	return next < 0 ||
	       (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)next + FDS_KEPT >= limit.rlim_cur);
}

void
egd_accept_ready(evutil_socket_t listener, short what, void *arg)
{
	struct egd_server *s = arg;

	(void)what;
	if (fds_are_short(listener)) {
		rest(s, EMFILE);
		return;
	}
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		struct egd_caller caller;
		int fd;

		fd = egd_caller_accept(listener, &caller);
		if (fd >= 0) /* else the client has gone already */
			take(s, fd, &caller);
		if (fd == -EAGAIN)
			return;
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
			rest(s, -fd);
			return;
		}
	}
}

void
egd_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct egd_server *s = arg;

	(void)fd, (void)what;
	event_add(s->accept, NULL);
}

/*
 * The last quarter of the places is for those who have none yet: nobody can shut others out. Half
 * of it is for networks of IPv6 that have none, for one client may have all addresses of its own.
 */
static bool
has_its_share(struct egd_server *s, const struct pool_client *client)
{
	unsigned left = s->config.max_clients - s->clients, last = s->config.max_clients / 4;
	struct pool_client network;

	return (left < last && egd_members_has(&s->members, client)) ||
	       (left < (last + 1) / 2 && pool_client_network(client, &network) &&
		egd_members_has(&s->members, &network));
}

const char *
egd_accept_admit(struct egd_server *s, struct egd_connection *c)
{
	struct pool_client client = {.weight = s->config.weight, .whole = true};

	if (!is_allowed(s, &c->caller))
		return not_allowed;
	egd_caller_identity(&c->caller, egd_connection_identity(c), &client);
	if (has_its_share(s, &client))
		return "it has connections, and the last places are for others (max-clients)";
	return seat(s, c, &client);
}
