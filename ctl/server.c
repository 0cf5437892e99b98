/* SPDX-License-Identifier: MIT */
#include "ctl/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "ctl/protocol.h"

#define CTL_CLIENTS_MAX 32
#define CTL_STRANGERS_MAX 24  /* of them; the rest is for root and our own user */
#define CTL_IDLE_S 300        /* a monitor may ask every few minutes */
#define CTL_WRITE_S 10        /* a client that does not read its answers */
#define CTL_ANSWERS_MAX 65536 /* bytes not yet read by a client before we stop reading it */

struct ctl_client {
	struct ctl_server *server;
	struct bufferevent *stream;
	bool ended;      /* it will send nothing more */
	bool closing;    /* when its answers are sent */
	bool admin;      /* root, or our own user */
	uint64_t ticket; /* of the command whose answer comes later; 0: none */
	LIST_ENTRY(ctl_client) in_clients;
};

struct ctl_server {
	char *path;
	mode_t mode;
	const struct ctl_command *commands;
	void *arg;
	struct evconnlistener *listener;
	struct event *accept_again; /* after a lack of fds */
	struct log_limit accept_limit;
	unsigned client_count;
	uint64_t tickets; /* given out so far */
	LIST_HEAD(, ctl_client) clients;
};

static void
ctl_client_free(struct ctl_client *c)
{
	LIST_REMOVE(c, in_clients);
	c->server->client_count--;
	bufferevent_free(c->stream);
	free(c);
}

/* Frees it now, or when the last answer has left. */
static void
ctl_client_close(struct ctl_client *c)
{
	c->closing = true;
	bufferevent_disable(c->stream, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->stream)) == 0)
		ctl_client_free(c);
}

/* ---- commands ---- */

const char ctl_later[] = "(later)";

/* The words after the command's name; NULL when the line is another command. */
static const char *
ctl_match(const struct ctl_command *command, const char *line)
{
	size_t len = strlen(command->name);

	if (strncmp(line, command->name, len) != 0)
		return NULL;
	if (line[len] == '\0')
		return line + len;
	return command->words && line[len] == ' ' ? line + len + 1 : NULL;
}

static const char *
ctl_run(struct ctl_client *c, const char *line, struct evbuffer *out)
{
	struct ctl_server *server = c->server;

	for (const struct ctl_command *command = server->commands; command->name; command++) {
		struct ctl_request request = {ctl_match(command, line), out, server->tickets + 1};

		if (request.words == NULL)
			continue;
		if (command->admin && !c->admin)
			return "only root and the daemon's user may do this";
		server->tickets++;
		c->ticket = request.ticket;
		return command->run(server->arg, &request);
	}
	return "unknown command";
}

static void
ctl_end_answer(struct ctl_client *c, const char *error, struct evbuffer *out)
{
	c->ticket = 0;
	if (error == NULL)
		evbuffer_add_printf(out, "OK\n");
	else
		evbuffer_add_printf(out, "ERROR %s\n", error);
}

static void
ctl_answer(struct ctl_client *c, const char *line, struct evbuffer *out)
{
	const char *error;

	if (strcmp(line, "Bye") == 0) {
		evbuffer_add_printf(out, "OK Good bye\n");
		c->closing = true;
		return;
	}
	error = ctl_run(c, line, out);
	if (error != ctl_later)
		ctl_end_answer(c, error, out);
}

/* Answers the lines that have come, as far as the client reads our answers. */
static void
ctl_on_input(struct bufferevent *stream, void *arg)
{
	struct ctl_client *c = arg;
	struct evbuffer *in = bufferevent_get_input(stream);
	struct evbuffer *out = bufferevent_get_output(stream);

	while (!c->closing && c->ticket == 0 && evbuffer_get_length(out) < CTL_ANSWERS_MAX) {
		char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		if (line == NULL) {
			c->closing = c->ended;
			break;
		}
		ctl_answer(c, line, out);
		free(line);
	}
	if (!c->closing && c->ticket == 0 && evbuffer_get_length(in) >= CTL_LINE_MAX &&
	    evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_CRLF).pos < 0) {
		evbuffer_add_printf(out, "ERROR line too long\n");
		c->closing = true;
	}
	if (c->closing)
		ctl_client_close(c);
	else if (evbuffer_get_length(out) >= CTL_ANSWERS_MAX)
		bufferevent_disable(stream, EV_READ); /* else libevent calls us again, for ever */
}

void
ctl_reply(struct ctl_server *server, uint64_t ticket, const char *row, const char *error)
{
	struct ctl_client *c;

	LIST_FOREACH(c, &server->clients, in_clients)
	{
		struct evbuffer *out = bufferevent_get_output(c->stream);

		if (c->ticket != ticket)
			continue;
		if (row != NULL)
			evbuffer_add_printf(out, "*\t%s\n", row);
		ctl_end_answer(c, error, out); /* its next lines follow when this has left */
		return;
	}
}

/* All answers have left: go on with lines that had to wait, or end. */
static void
ctl_on_output_sent(struct bufferevent *stream, void *arg)
{
	struct ctl_client *c = arg;

	if (c->closing) {
		ctl_client_free(c);
		return;
	}
	if (!c->ended)
		bufferevent_enable(stream, EV_READ);
	ctl_on_input(stream, c);
}

static void
ctl_on_end(struct bufferevent *stream, short what, void *arg)
{
	struct ctl_client *c = arg;

	if (what & BEV_EVENT_EOF) {
		/* A half-closed client still gets the answers to all that it asked. */
		c->ended = true;
		ctl_on_input(stream, c);
	} else {
		ctl_client_free(c);
	}
}

/* True when the peer is root or runs as our own user. */
static bool
ctl_peer_is_admin(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

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
	unsigned suppressed;

	if (log_limit_pass(&server->accept_limit, clock_now_ms(), &suppressed))
		log_warn("control socket %s: a client was refused, with %u there", server->path,
			 server->client_count);
	close(fd);
}

static struct ctl_client *
ctl_client_new(struct ctl_server *server, struct event_base *base, int fd)
{
	const struct timeval idle = {.tv_sec = CTL_IDLE_S}, write = {.tv_sec = CTL_WRITE_S};
	struct ctl_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->server = server;
	c->admin = ctl_peer_is_admin(fd);
	c->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->stream == NULL) {
		free(c);
		return NULL;
	}
	bufferevent_setcb(c->stream, ctl_on_input, ctl_on_output_sent, ctl_on_end, c);
	bufferevent_set_timeouts(c->stream, &idle, &write);
	bufferevent_setwatermark(c->stream, EV_READ, 0, CTL_LINE_MAX);
	LIST_INSERT_HEAD(&server->clients, c, in_clients);
	server->client_count++;
	return c;
}

static void
ctl_on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	      int len, void *arg)
{
	struct ctl_server *server = arg;
	struct ctl_client *c = NULL;

	(void)address, (void)len;
	if (server->client_count < ctl_places_for_peer(server, fd))
		c = ctl_client_new(server, evconnlistener_get_base(listener), fd);
	if (c == NULL) {
		ctl_refuse(server, fd);
		return;
	}
	evbuffer_add_printf(bufferevent_get_output(c->stream), "%s\n", CTL_GREETING);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
}

/* Out of fds or memory: the listener would be ready again at once, for ever. Rest for a second. */
static void
ctl_on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct timeval rest = {.tv_sec = 1};
	struct ctl_server *server = arg;
	int error = EVUTIL_SOCKET_ERROR();
	unsigned suppressed;

	if (log_limit_pass(&server->accept_limit, clock_now_ms(), &suppressed))
		log_warn("control socket %s: cannot accept a client: %s", server->path,
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
	while (!LIST_EMPTY(&s->clients))
		ctl_client_free(LIST_FIRST(&s->clients));
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
