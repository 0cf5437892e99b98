/* SPDX-License-Identifier: MIT */
/*
 * From TLS to the plaintext's end and back. Nothing is held here: bytes are looked at, sent on, and
 * taken only when they are sent, so that each side's own buffers are all that a slow reader fills.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/secret.h"
#include "tls/service.h"

#define TURN_LEN (4 * SCRATCH_LEN) /* bytes of one connection before others have their turn */

/* Bytes carried, 0 when it must wait, or -1: there is nothing more to carry. */
static ssize_t
to_plain(struct connection *c)
{
	uint8_t *bytes = c->service->scratch;
	ssize_t n = c->net_ended ? TLS_WANT_READ : tls_peek(c->tls, bytes, SCRATCH_LEN), sent;

	if (n == TLS_WANT_READ || n == TLS_WANT_WRITE)
		return 0;
	if (n < 0) {
		/* Clients come and go as they like. */
		if (c->peer_name != NULL)
			log_info("%s: %s", c->section->keys.section, tls_error_text(c->tls));
		return -1;
	}
	if (n == 0) {
		c->net_ended = true;
		return shutdown(c->plain, SHUT_WR) == 0 ? 0 : -1;
	}
	sent = send(c->plain, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		(void)tls_read(c->tls, bytes, (size_t)sent);
	secret_wipe(bytes, (size_t)n);
	return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
}

static ssize_t
to_net(struct connection *c)
{
	uint8_t *bytes = c->service->scratch;
	ssize_t n = recv(c->plain, bytes, SCRATCH_LEN, MSG_PEEK | MSG_DONTWAIT), sent;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	sent = tls_write(c->tls, bytes, (size_t)n);
	if (sent > 0)
		(void)recv(c->plain, bytes, (size_t)sent, MSG_DONTWAIT);
	secret_wipe(bytes, (size_t)n);
	return sent > 0 ? sent : sent == TLS_WANT_READ || sent == TLS_WANT_WRITE ? 0 : -1;
}

void
relay_go_on(struct connection *c)
{
	for (ssize_t had = 0, in = 1, out = 1; in > 0 || out > 0; had += in + out) {
		if (had >= TURN_LEN) {
			event_active(c->on_plain, EV_READ, 0);
			return;
		}
		in = to_plain(c);
		out = in < 0 ? -1 : to_net(c);
		if (out < 0) {
			handshakes_free(c, in >= 0);
			return;
		}
	}
}
