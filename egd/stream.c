/* SPDX-License-Identifier: MIT */
#include "egd/stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A result of crypto/tls as one of ours. */
static ssize_t
tls_result(struct egd_stream *s, ssize_t result)
{
	s->wants_output = result == TLS_WANT_WRITE;
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE ? -EAGAIN : result;
}

int
egd_stream_begin_tls(struct egd_stream *s, struct tls_context *context)
{
	s->tls = tls_new(context, s->fd);
	return s->tls != NULL ? 0 : -ENOMEM;
}

int
egd_stream_handshake(struct egd_stream *s)
{
	return s->tls != NULL ? (int)tls_result(s, tls_handshake(s->tls)) : 0;
}

ssize_t
egd_stream_read(struct egd_stream *s, uint8_t *ret, size_t len)
{
	ssize_t n;

	if (s->tls != NULL)
		return tls_result(s, tls_read(s->tls, ret, len));
	n = recv(s->fd, ret, len, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

ssize_t
egd_stream_write(struct egd_stream *s, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (s->tls != NULL)
		return tls_result(s, tls_write(s->tls, bytes, len));
	n = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

bool
egd_stream_is_dead(const struct egd_stream *s)
{
	struct pollfd p = {.fd = s->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

const char *
egd_stream_peer(const struct egd_stream *s)
{
	return s->tls != NULL ? tls_peer(s->tls) : "";
}

void
egd_stream_close(struct egd_stream *s)
{
	if (s->tls != NULL)
		(void)tls_close(s->tls);
	tls_free(&s->tls);
	close(s->fd);
	s->fd = -1;
}
