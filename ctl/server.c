/* SPDX-License-Identifier: MIT */
#include "ctl/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/net.h"
#include "ctl/inside.h"

#define CTL_CLIENTS_MAX 32
#define CTL_STRANGERS_MAX 24 /* of them; the rest is for root and our own user */
#define CTL_ACCEPTS_MAX 16   /* connections that are taken before others are served */

/*
 * With how many clients this peer is still taken. The kernel has already held connect() against the
 * socket's mode; with a mode that admits only the owner the peer's identity is checked as well,
 * before a byte from it is read. Whom a wider mode lets in cannot shut the owner out.
 */
static unsigned
ctl_places_for_peer(const struct ctl_server *server, uid_t uid)
{
	if (ctl_is_admin(uid))
		return CTL_CLIENTS_MAX;
	return (server->mode & 0022) != 0 ? CTL_STRANGERS_MAX : 0;
}

static void
ctl_refuse(struct ctl_server *server, int fd, uid_t uid)
{
	log_warn_limited(&server->refused_limit, uid, clock_now_ms(),
			 "control socket %s: a client of uid %u was refused, with %u there",
			 server->path, (unsigned)uid, server->peer_count);
	close(fd);
}

/* 0, or -errno: there is no other client to be taken now. */
static int
ctl_take_one(struct ctl_server *server)
{
	struct address peer;
	int fd = net_accept(server->fd, &peer);
	uid_t uid;

	if (fd < 0)
		return fd;
	uid = ctl_peer_uid(fd);
	if (server->peer_count >= ctl_places_for_peer(server, uid) ||
	    !ctl_peer_open(server, event_get_base(server->accept), fd))
		ctl_refuse(server, fd, uid);
	return 0;
}

/* Out of fds or memory: the listener would be ready again at once, for ever. Rest for a second. */
static void
ctl_rest(struct ctl_server *server, int error)
{
	const struct timeval rest = {.tv_sec = 1};

	log_warn_limited(&server->rest_limit, 0, clock_now_ms(),
			 "control socket %s: cannot accept a client: %s", server->path,
			 strerror(error));
	event_del(server->accept);
	event_add(server->accept_again, &rest);
}

static void
ctl_on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *server = arg;
	int result = 0;

	(void)fd, (void)what;
	for (unsigned i = 0; i < CTL_ACCEPTS_MAX && result == 0; i++)
		result = ctl_take_one(server);
	if (result < 0 && result != -EAGAIN && result != -ECONNABORTED)
		ctl_rest(server, -result);
}

static void
ctl_on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *server = arg;

	(void)fd, (void)what;
	event_add(server->accept, NULL);
}

static int
ctl_server_listen(struct ctl_server *server, struct event_base *base)
{
	server->fd = net_unix_listen(server->path, server->mode);
	if (server->fd < 0)
		return server->fd;
	server->accept = event_new(base, server->fd, EV_READ | EV_PERSIST, ctl_on_accept, server);
	return server->accept != NULL && event_add(server->accept, NULL) == 0 ? 0 : -ENOMEM;
}

int
ctl_server_new(struct event_base *base, const char *path, mode_t mode,
	       const struct ctl_command *commands, void *arg, struct ctl_server **ret)
{
	struct ctl_server *server = calloc(1, sizeof(*server));
	int result = -ENOMEM;

	if (server == NULL)
		return result;
	*server = (struct ctl_server){.fd = -1, .mode = mode, .commands = commands, .arg = arg};
	server->path = strdup(path);
	server->accept_again = evtimer_new(base, ctl_on_accept_again, server);
	if (server->path != NULL && server->accept_again != NULL)
		result = ctl_server_listen(server, base);
	if (result < 0)
		ctl_server_free(&server);
	else
		*ret = server;
	return result;
}

void
ctl_server_free(struct ctl_server **server)
{
	struct ctl_server *s = *server;

	if (s == NULL)
		return;
	/* NOLINTBEGIN(clang-analyzer-*): freeing a client unlinks it; a listener has a path. */
	while (!LIST_EMPTY(&s->peers))
		ctl_peer_free(LIST_FIRST(&s->peers));
	if (s->accept != NULL)
		event_free(s->accept);
	if (s->fd >= 0) {
		close(s->fd);
		net_unix_unlink(s->path);
	}
	/* NOLINTEND(clang-analyzer-*) */
	if (s->accept_again != NULL)
		event_free(s->accept_again);
	free(s->path);
	free(s);
	*server = NULL;
}
