/* SPDX-License-Identifier: MIT */
/* One client of the control socket: its lines and our answers. */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "ctl/inside.h"
#include "ctl/protocol.h"

#define CTL_IDLE_S 300        /* a monitor may ask every few minutes */
#define CTL_WRITE_S 10        /* a client that does not read its answers */
#define CTL_ANSWERS_MAX 65536 /* bytes not yet read by a client before we stop reading it */

void
ctl_peer_free(struct ctl_peer *c)
{
	LIST_REMOVE(c, in_peers);
	c->server->peer_count--;
	if (c->ticket != 0 && c->gone != NULL)
		c->gone(c->server->arg, c->ticket);
	bufferevent_free(c->stream);
	free(c);
}

/* Frees it now, or when the last answer has left. */
static void
ctl_peer_close(struct ctl_peer *c)
{
	c->closing = true;
	bufferevent_disable(c->stream, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->stream)) == 0)
		ctl_peer_free(c);
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
ctl_run(struct ctl_peer *c, const char *line, struct evbuffer *out)
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
		c->secret = command->secret;
		c->gone = command->gone;
		return command->run(server->arg, &request);
	}
	return "unknown command";
}

static void
ctl_end_answer(struct ctl_peer *c, const char *error, struct evbuffer *out)
{
	c->ticket = 0;
	if (error == NULL)
		evbuffer_add_printf(out, "OK\n");
	else
		evbuffer_add_printf(out, "ERROR %s\n", error);
}

static void
ctl_answer(struct ctl_peer *c, const char *line, struct evbuffer *out)
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

/* The length of the next line; CTL_LINE_MAX or more: it is too long; -1: it is not whole yet. */
static ssize_t
ctl_line_len(struct evbuffer *in, size_t *ret_eol_len)
{
	return evbuffer_search_eol(in, NULL, ret_eol_len, EVBUFFER_EOL_CRLF).pos;
}

/* Not evbuffer_readln(): who frees its line must know what libevent allocates with. */
static bool
ctl_next_line(struct evbuffer *in, char ret[static CTL_LINE_MAX])
{
	size_t eol_len = 0;
	ssize_t len = ctl_line_len(in, &eol_len);

	if (len < 0 || len >= CTL_LINE_MAX)
		return false;
	evbuffer_remove(in, ret, (size_t)len);
	ret[len] = '\0';
	evbuffer_drain(in, eol_len);
	return true;
}

static bool
ctl_line_is_too_long(struct evbuffer *in)
{
	return evbuffer_get_length(in) >= CTL_LINE_MAX &&
	       (ctl_line_len(in, NULL) < 0 || ctl_line_len(in, NULL) >= CTL_LINE_MAX);
}

/* True while the client reads our answers, and no secret one waits to leave. */
static bool
ctl_may_go_on(const struct ctl_peer *c)
{
	return !c->closing && c->ticket == 0 && !c->secret &&
	       evbuffer_get_length(bufferevent_get_output(c->stream)) < CTL_ANSWERS_MAX;
}

/* Answers the lines that have come, as far as they may be answered now. */
static void
ctl_on_input(struct bufferevent *stream, void *arg)
{
	struct ctl_peer *c = arg;
	struct evbuffer *in = bufferevent_get_input(stream);
	struct evbuffer *out = bufferevent_get_output(stream);

	while (ctl_may_go_on(c)) {
		char line[CTL_LINE_MAX];

		if (!ctl_next_line(in, line)) {
			c->closing = c->ended;
			break;
		}
		ctl_answer(c, line, out);
		secret_wipe(line, sizeof(line)); /* an order may bring a nonce */
	}
	if (!c->closing && c->ticket == 0 && ctl_line_is_too_long(in)) {
		evbuffer_add_printf(out, "ERROR line too long\n");
		c->closing = true;
	}
	if (c->closing)
		ctl_peer_close(c);
	else if (evbuffer_get_length(out) >= CTL_ANSWERS_MAX)
		bufferevent_disable(stream, EV_READ); /* else libevent calls us again, for ever */
}

void
ctl_reply(struct ctl_server *server, uint64_t ticket, const char *row, const char *error)
{
	struct ctl_peer *c;

	LIST_FOREACH(c, &server->peers, in_peers)
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

unsigned
ctl_server_drop_secrets(struct ctl_server *server)
{
	struct ctl_peer *c = LIST_FIRST(&server->peers);
	unsigned closed = 0;

	while (c != NULL) {
		struct ctl_peer *next = LIST_NEXT(c, in_peers);

		if (c->secret && c->ticket == 0) {
			ctl_peer_free(c);
			closed++;
		}
		c = next;
	}
	return closed;
}

/* All answers have left: go on with lines that had to wait, or end. */
static void
ctl_on_output_sent(struct bufferevent *stream, void *arg)
{
	struct ctl_peer *c = arg;

	if (c->closing) {
		ctl_peer_free(c);
		return;
	}
	c->secret = c->secret && c->ticket != 0;
	if (!c->ended)
		bufferevent_enable(stream, EV_READ);
	ctl_on_input(stream, c);
}

/* True when it has closed, and not only sends no more. */
static bool
ctl_has_hung_up(const struct ctl_peer *c)
{
	struct pollfd end = {.fd = bufferevent_getfd(c->stream)};

	return poll(&end, 1, 0) == 1 && (end.revents & POLLHUP) != 0;
}

static void
ctl_on_end(struct bufferevent *stream, short what, void *arg)
{
	struct ctl_peer *c = arg;

	if ((what & BEV_EVENT_EOF) && (c->ticket == 0 || !ctl_has_hung_up(c))) {
		/* A half-closed client still gets the answers to all that it asked. */
		c->ended = true;
		ctl_on_input(stream, c);
	} else if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && c->ticket != 0) {
		bufferevent_enable(stream, EV_READ); /* our answer is late, not the client */
	} else {
		ctl_peer_free(c);
	}
}

/* ---- life ---- */

uid_t
ctl_peer_uid(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.uid : (uid_t)-1;
}

bool
ctl_is_admin(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

bool
ctl_peer_open(struct ctl_server *server, struct event_base *base, int fd)
{
	const struct timeval idle = {.tv_sec = CTL_IDLE_S}, write = {.tv_sec = CTL_WRITE_S};
	struct ctl_peer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return false;
	c->server = server;
	c->admin = ctl_is_admin(ctl_peer_uid(fd));
	c->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->stream == NULL) {
		free(c);
		return false;
	}
	bufferevent_setcb(c->stream, ctl_on_input, ctl_on_output_sent, ctl_on_end, c);
	bufferevent_set_timeouts(c->stream, &idle, &write);
	bufferevent_setwatermark(c->stream, EV_READ, 0, CTL_LINE_MAX);
	LIST_INSERT_HEAD(&server->peers, c, in_peers);
	server->peer_count++;
	evbuffer_add_printf(bufferevent_get_output(c->stream), "%s\n", CTL_GREETING);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
	return true;
}
