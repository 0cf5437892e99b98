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

/*
 * With how many clients this peer is still taken. The kernel has already held connect() against the
 * socket's mode; with a mode that admits only the owner the peer's identity is checked as well,
 * before a byte from it is read. Whom a wider mode lets in cannot shut the owner out.
 */
static unsigned
ctl_places_for_peer(const struct ctl_server *server, int fd)
{
	if (ctl_peer_is_admin(fd))
		return CTL_CLIENTS_MAX;
	return (server->mode & 0022) != 0 ? CTL_STRANGERS_MAX : 0;
}

static void
ctl_refuse(struct ctl_server *server, int fd)
{
	log_warn_limited(&server->accept_limit, 0, clock_now_ms(),
			 "control socket %s: a client was refused, with %u there", server->path,
			 server->peer_count);
	close(fd);
}

static void
ctl_on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	      int len, void *arg)
{
	struct ctl_server *server = arg;

	(void)address, (void)len;
	if (server->peer_count >= ctl_places_for_peer(server, fd) ||
	    !ctl_peer_open(server, evconnlistener_get_base(listener), fd))
		ctl_refuse(server, fd);
}

/* Out of fds or memory: the listener would be ready again at once, for ever. Rest for a second. */
static void
ctl_on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct timeval rest = {.tv_sec = 1};
	struct ctl_server *server = arg;
	int error = EVUTIL_SOCKET_ERROR();

	log_warn_limited(&server->accept_limit, 1, clock_now_ms(),
			 "control socket %s: cannot accept a client: %s", server->path,
			 strerror(error));
	evconnlistener_disable(listener);
	event_add(server->accept_again, &rest);
}

static void
ctl_on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *server = arg;

	(void)fd, (void)what;
	evconnlistener_enable(server->listener);
}

static int
ctl_server_listen(struct ctl_server *server, struct event_base *base)
{
	int fd = net_unix_listen(server->path, server->mode);

	if (fd < 0)
		return fd;
	/* Backlog 0: it listens already. */
	server->listener = evconnlistener_new(base, ctl_on_accept, server,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (server->listener == NULL) {
		close(fd);
		unlink(server->path);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(server->listener, ctl_on_accept_error);
	return 0;
}

int
ctl_server_new(struct event_base *base, const char *path, mode_t mode,
	       const struct ctl_command *commands, void *arg, struct ctl_server **ret)
{
	struct ctl_server *server = calloc(1, sizeof(*server));
	int result = -ENOMEM;

	if (server == NULL)
		return result;
	*server = (struct ctl_server){.mode = mode, .commands = commands, .arg = arg};
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
	if (s->listener != NULL) {
		evconnlistener_free(s->listener);
		unlink(s->path);
	}
	/* NOLINTEND(clang-analyzer-*) */
	if (s->accept_again != NULL)
		event_free(s->accept_again);
	free(s->path);
	free(s);
	*server = NULL;
}
