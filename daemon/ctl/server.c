/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/ctl/protocol.h"
#include "lib/acceptor.h"
#include "lib/clock.h"
#include "lib/net.h"
#include "lib/secret.h"

#define CTL_CLIENTS_MAX 32
#define CTL_OTHERS_MAX 24     /* of them; the rest is for root and the daemon's user */
#define CTL_ACCEPTS_MAX 16    /* connections accepted before others are served */
#define CTL_IDLE_S 300        /* a monitor may send a command every few minutes */
#define CTL_WRITE_S 10        /* for a client that does not read its answers */
#define CTL_ANSWERS_MAX 65536 /* unread bytes of answers, from which on no command is read */

struct ctl_client {
	struct ctl_server *server;
	struct bufferevent *stream;
	bool ended;      /* the client sends no further bytes */
	bool closing;    /* close it when its answers are sent */
	bool admin;      /* its user is root, or the daemon's */
	bool secret;     /* the answer to its last command is secret, and not sent yet */
	uint64_t ticket; /* of the command that ctl_reply() will answer; 0: none */
	void (*gone)(void *arg, uint64_t ticket); /* that command's, or NULL */
	LIST_ENTRY(ctl_client) in_clients;
};

struct ctl_server {
	char *path;
	mode_t mode;
	const struct ctl_command *commands;
	void *arg;
	struct event_base *base;
	int fd; /* of the listening socket */
	struct acceptor acceptor;
	struct log_limit refused_limit;
	unsigned client_count;
	uint64_t tickets; /* issued so far */
	LIST_HEAD(, ctl_client) clients;
};

static size_t
unsent_len(const struct ctl_client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->stream));
}

static void
free_client(struct ctl_client *c)
{
	LIST_REMOVE(c, in_clients);
	c->server->client_count--;
	if (c->ticket != 0 && c->gone != NULL)
		c->gone(c->server->arg, c->ticket);
	bufferevent_free(c->stream);
	free(c);
}

/* ---- commands ---- */

const char ctl_later[] = "(later)";

/* Returns the words after the command's name, or NULL when the line is another command. */
static const char *
match_command(const struct ctl_command *command, const char *line)
{
	size_t len = strlen(command->name);

	if (strncmp(line, command->name, len) != 0)
		return NULL;
	if (line[len] == '\0')
		return line + len;
	return command->words && line[len] == ' ' ? line + len + 1 : NULL;
}

static const char *
run_command(struct ctl_client *c, const char *line, struct evbuffer *out)
{
	struct ctl_server *server = c->server;

	for (const struct ctl_command *command = server->commands; command->name; command++) {
		struct ctl_request request = {match_command(command, line), out,
					      server->tickets + 1};

		if (request.words == NULL)
			continue;
		if (command->admin && !c->admin)
			return "only root and the daemon's user may do this";
		c->ticket = ++server->tickets;
		c->secret = command->secret;
		c->gone = command->gone;
		return command->run(server->arg, &request);
	}
	return "unknown command";
}

static void
end_answer(struct ctl_client *c, const char *error, struct evbuffer *out)
{
	c->ticket = 0;
	if (error == NULL)
		evbuffer_add_printf(out, "OK\n");
	else
		evbuffer_add_printf(out, "ERROR %s\n", error);
}

static void
answer_line(struct ctl_client *c, const char *line, struct evbuffer *out)
{
	const char *error;

	if (strcmp(line, "Bye") == 0) {
		evbuffer_add_printf(out, "OK Good bye\n");
		c->closing = true;
		return;
	}
	error = run_command(c, line, out);
	if (error != ctl_later)
		end_answer(c, error, out);
}

/*
 * Takes the next line. 0; -EAGAIN: it is not complete yet; -EMSGSIZE: it is too long. Not by
 * evbuffer_readln(), whose line must be freed with libevent's allocator.
 */
static int
take_line(struct evbuffer *in, char ret[static CTL_LINE_MAX])
{
	size_t eol_len = 0;
	ssize_t len = evbuffer_search_eol(in, NULL, &eol_len, EVBUFFER_EOL_CRLF).pos;

	if (len >= CTL_LINE_MAX || (len < 0 && evbuffer_get_length(in) >= CTL_LINE_MAX))
		return -EMSGSIZE;
	if (len < 0)
		return -EAGAIN;
	evbuffer_remove(in, ret, (size_t)len);
	ret[len] = '\0';
	evbuffer_drain(in, eol_len);
	return 0;
}

/* Answers the received lines, while the client reads the answers and no secret one is unsent. */
static void
on_input(struct bufferevent *stream, void *arg)
{
	struct ctl_client *c = arg;
	struct evbuffer *out = bufferevent_get_output(stream);

	while (!c->closing && c->ticket == 0 && !c->secret && unsent_len(c) < CTL_ANSWERS_MAX) {
		char line[CTL_LINE_MAX];
		int result = take_line(bufferevent_get_input(stream), line);

		if (result == 0)
			answer_line(c, line, out);
		secret_wipe(line, sizeof(line)); /* a command may contain a nonce */
		if (result == -EMSGSIZE)
			evbuffer_add_printf(out, "ERROR line too long\n");
		c->closing = c->closing || result == -EMSGSIZE || (result != 0 && c->ended);
		if (result != 0)
			break;
	}
	if (c->closing || unsent_len(c) >= CTL_ANSWERS_MAX)
		bufferevent_disable(stream, EV_READ); /* else libevent calls this at once again */
	if (c->closing && unsent_len(c) == 0)
		free_client(c);
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
		end_answer(c, error, out); /* the client's next lines follow when this is sent */
		return;
	}
}

unsigned
ctl_server_drop_secrets(struct ctl_server *server)
{
	struct ctl_client *next;
	unsigned closed = 0;

	for (struct ctl_client *c = LIST_FIRST(&server->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, in_clients);
		if (!c->secret || c->ticket != 0)
			continue;
		free_client(c);
		closed++;
	}
	return closed;
}

/* All answers are sent: goes on with the lines that had to wait, or ends. */
static void
on_output_sent(struct bufferevent *stream, void *arg)
{
	struct ctl_client *c = arg;

	c->secret = c->secret && c->ticket != 0;
	if (!c->closing && !c->ended)
		bufferevent_enable(stream, EV_READ);
	on_input(stream, c);
}

/* Returns true when the client has closed, and not only its sending half. */
static bool
has_hung_up(const struct ctl_client *c)
{
	struct pollfd end = {.fd = bufferevent_getfd(c->stream)};

	return poll(&end, 1, 0) == 1 && (end.revents & POLLHUP) != 0;
}

static void
on_end(struct bufferevent *stream, short what, void *arg)
{
	struct ctl_client *c = arg;

	if ((what & BEV_EVENT_EOF) && (c->ticket == 0 || !has_hung_up(c))) {
		c->ended = true; /* a half-closed client still gets all its answers */
		on_input(stream, c);
	} else if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && c->ticket != 0) {
		bufferevent_enable(stream, EV_READ); /* the daemon's answer is late */
	} else {
		free_client(c);
	}
}

/* ---- accepting ---- */

static bool
is_admin(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/*
 * Returns how many clients there may be for another one of this user. The kernel has already
 * checked the socket's mode at connect(2); with a mode for the owner alone the user is checked
 * here as well, before a byte is read. Users that a wider mode admits cannot shut the owner out.
 */
static unsigned
clients_max_for(const struct ctl_server *server, uid_t uid)
{
	if (is_admin(uid))
		return CTL_CLIENTS_MAX;
	return (server->mode & 0022) != 0 ? CTL_OTHERS_MAX : 0;
}

/* Returns false without memory; `fd` is then still the caller's. */
static bool
add_client(struct ctl_server *server, int fd, uid_t uid)
{
	const struct timeval idle = {.tv_sec = CTL_IDLE_S}, write = {.tv_sec = CTL_WRITE_S};
	struct ctl_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return false;
	c->server = server;
	c->admin = is_admin(uid);
	c->stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->stream == NULL) {
		free(c);
		return false;
	}
	bufferevent_setcb(c->stream, on_input, on_output_sent, on_end, c);
	bufferevent_set_timeouts(c->stream, &idle, &write);
	bufferevent_setwatermark(c->stream, EV_READ, 0, CTL_LINE_MAX);
	LIST_INSERT_HEAD(&server->clients, c, in_clients);
	server->client_count++;
	evbuffer_add_printf(bufferevent_get_output(c->stream), "%s\n", CTL_GREETING);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
	return true;
}

static void
on_accepted(void *arg, int fd, const struct address *peer)
{
	struct ctl_server *server = arg;
	uid_t uid = net_peer_uid(fd);

	(void)peer;
	if (server->client_count < clients_max_for(server, uid) && add_client(server, fd, uid))
		return;
	log_warn_limited(&server->refused_limit, uid, clock_now_ms(),
			 "control socket %s: refused a client of uid %u (%u clients are connected)",
			 server->path, (unsigned)uid, server->client_count);
	close(fd);
}

/* ---- life ---- */

int
ctl_server_new(struct event_base *base, const char *path, mode_t mode,
	       const struct ctl_command *commands, void *arg, struct ctl_server **ret)
{
	struct ctl_server *server = calloc(1, sizeof(*server));
	int result = -ENOMEM;

	if (server == NULL)
		return result;
	*server = (struct ctl_server){
		.path = strdup(path), .mode = mode, .commands = commands, .arg = arg, .base = base};
	server->fd = server->path != NULL ? net_unix_listen(path, mode) : -ENOMEM;
	server->acceptor = (struct acceptor){.kind = "control socket",
					     .name = server->path,
					     .batch = CTL_ACCEPTS_MAX,
					     .accepted = on_accepted,
					     .arg = server};
	if (server->fd < 0)
		result = server->fd;
	else if (acceptor_start(&server->acceptor, base, server->fd))
		result = 0;
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
		free_client(LIST_FIRST(&s->clients));
	acceptor_stop(&s->acceptor);
	if (s->fd >= 0) {
		close(s->fd);
		net_unix_unlink(s->path);
	}
	/* NOLINTEND(clang-analyzer-*) */
	free(s->path);
	free(s);
	*server = NULL;
}
