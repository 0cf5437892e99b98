/* SPDX-License-Identifier: MIT */
/* What comes before a connection's first request: a proxy's header, TLS, its identity. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "egd/inside.h"
#include "priv/tls_channel.h"

/*
 * The header is looked at where it lies: what follows it is TLS's, or the first request. These
 * return 0, -EAGAIN or -errno; *ret_why says what there is to say about it.
 */
static int
take_header(struct egd_connection *c, struct egd_proxy *ret)
{
	ssize_t n = recv(c->fd, c->in, EGD_IN_LEN, MSG_PEEK);
	struct cursor in = cursor_over(c->in, n > 0 ? (size_t)n : 0);

	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	switch (egd_proxy_parse(&in, ret)) {
	case EGD_PROXY_PARTIAL:
		return -EAGAIN;
	case EGD_PROXY_BAD:
		return -EPROTO;
	case EGD_PROXY_WHOLE:
		break;
	}
	return recv(c->fd, c->in, (size_t)n - in.left, 0) > 0 ? 0 : -ECONNRESET;
}

static int
begin_proxy(struct egd_connection *c, const char **ret_why)
{
	struct egd_proxy proxy = {0};
	int result = take_header(c, &proxy);

	if (result == -EPROTO)
		*ret_why = "it is in proxy-from, and began without a PROXY header";
	if (result == 0 && proxy.forwarded)
		c->caller.address = proxy.client;
	return result;
}

/* From now on the connection is with ekey-tls, which has the client at its other end. */
static int
hand_over(struct egd_connection *c, const char **ret_why)
{
	const struct egd_server *s = c->server;
	char section[TLS_SECTION_MAX];
	int plain = -ENOTCONN;

	snprintf(section, sizeof(section), "listen %s", s->config.name);
	if (s->tls != NULL && *s->tls >= 0)
		plain = tls_channel_accept(*s->tls, section, egd_caller_number(&c->caller), c->fd);
	if (plain < 0) {
		*ret_why = plain == -EAGAIN ? "ekey-tls is busy" : "ekey-tls is not there";
		return -EPROTO;
	}
	c->handed = true;
	egd_accept_bound_buffer(plain);
	return egd_connection_move(c, plain) ? 0 : -ENOMEM;
}

/* Its header says who the client is, or why there is no TLS with it. */
static int
begin_tls(struct egd_connection *c, const char **ret_why)
{
	struct egd_proxy proxy = {0};
	int result = 0;

	if (!c->server->is_tls)
		return 0;
	if (!c->handed)
		result = hand_over(c, ret_why);
	if (result == 0)
		result = take_header(c, &proxy);
	if (result < 0)
		return result;
	if (proxy.refusal[0] != '\0') {
		memcpy(c->in, proxy.refusal, sizeof(proxy.refusal));
		*ret_why = (const char *)c->in;
		return -EPROTO;
	}
	c->identity = strdup(proxy.identity);
	return c->identity != NULL ? 0 : -ENOMEM;
}

/*
 * Queues a read of `greet` bytes in front of the client's own requests: QEMU's rng-egd keeps the
 * requests that it sent to the previous daemon, and sends none of them again.
 */
static void
greet(struct egd_connection *c)
{
	if (c->server->config.greet == 0)
		return;
	c->in_len = egd_wire_put_request(
		(struct egd_request){.op = EGD_READ, .len = c->server->config.greet}, c->in);
}

static int
begin_stage(struct egd_connection *c, const char **ret_why)
{
	int result = c->stage == EGD_STAGE_PROXY ? begin_proxy(c, ret_why) : begin_tls(c, ret_why);

	if (result < 0)
		return result;
	if (++c->stage != EGD_STAGE_OPEN)
		return 0;
	egd_opening_end(c);
	*ret_why = egd_accept_admit(c->server, c);
	if (*ret_why != NULL)
		return -EACCES;
	greet(c);
	return 0;
}

void
egd_opening_end(struct egd_connection *c)
{
	TAILQ_REMOVE(&c->server->openings, c, in_openings);
	c->server->openings_count--;
}

bool
egd_opening_go_on(struct egd_connection *c)
{
	const char *why = NULL;
	int result = 0;

	while (c->stage != EGD_STAGE_OPEN && result == 0)
		result = begin_stage(c, &why);
	if (result == 0)
		return true;
	if (result == -EAGAIN)
		return false;
	if (why != NULL)
		egd_connection_say_end(c, why);
	egd_connection_free(c, result == -EACCES ? EGD_END_REFUSED : EGD_END_START);
	return false;
}
