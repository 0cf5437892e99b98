/* SPDX-License-Identifier: MIT */
#include "guest/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "guest/connect.h"

/* After a step that could not go on: 0 when it may be tried again, else what to fail with. */
static int
wait_as_told(const struct channel *c, ssize_t told, short events, uint64_t end_ms)
{
	if (c->tls != NULL && told == TLS_WANT_READ)
		events = POLLIN;
	else if (c->tls != NULL && told == TLS_WANT_WRITE)
		events = POLLOUT;
	else if (told != -EAGAIN)
		return (int)told;
	return connect_wait(c->fd, events, end_ms);
}

/* ---- where to ---- */

struct channel_kind {
	const char *prefix;
	const char *(*check)(const char *where); /* NULL, or what is wrong with it */
	int (*connect)(const char *where, uint64_t end_ms);
	bool secure, trusted;
};

/* DESIGN 4: who gives us our memory and our disk may give us our entropy, and a proven peer too. */
static const struct channel_kind kinds[] = {
	{"unix:", check_path, connect_unix, false, true},
	{"vsock:", check_vsock, connect_vsock, false, true},
	{"tty:", check_path, connect_tty, false, true},
	{"xen", check_xen, connect_xen, false, true},
	{"tls:", check_host, connect_host, true, true},
	{"tcp:", check_host, connect_host, false, false},
};

static bool
prepare_tls(struct channel_to *to, const struct options *o, char *error, size_t cap)
{
	struct address_host at;
	struct tls_config config = {.psk = o->psk,
				    .identity = o->identity,
				    .ca = o->ca,
				    .cert = o->cert,
				    .key = o->key,
				    .peer_name = at.host};

	(void)address_parse_host(to->where, &at);
	to->tls = tls_context_new(&config, error, cap);
	return to->tls != NULL;
}

bool
channel_prepare(struct channel_to *to, const char *address, const struct options *options,
		char *error, size_t cap)
{
	const char *wrong = "unix:, vsock:, tty:, xen, tls: or tcp: is needed";

	*to = (struct channel_to){.address = address};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && to->kind == NULL; i++) {
		if (strncmp(address, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		to->kind = &kinds[i];
		to->where = address + strlen(kinds[i].prefix);
		to->trusted = kinds[i].trusted || options->trusted;
		wrong = kinds[i].check(to->where);
	}
	if (wrong != NULL) {
		snprintf(error, cap, "%s", wrong);
		return false;
	}
	return !to->kind->secure || prepare_tls(to, options, error, cap);
}

/* ---- one channel ---- */

static int
shake_hands(struct channel *c, uint64_t end_ms)
{
	int told, result = 0;

	while (result == 0 && (told = tls_handshake(c->tls)) != 0)
		result = wait_as_told(c, told, 0, end_ms);
	return result;
}

int
channel_open(struct channel *c, const struct channel_to *to, uint64_t end_ms)
{
	*c = (struct channel){.fd = to->kind->connect(to->where, end_ms)};
	if (c->fd < 0)
		return c->fd;
	if (to->tls == NULL)
		return 0;
	c->tls = tls_new(to->tls, c->fd);
	return c->tls != NULL ? shake_hands(c, end_ms) : -ENOMEM;
}

void
channel_close(struct channel *c)
{
	tls_free(&c->tls);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static ssize_t
write_some(struct channel *c, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (c->tls != NULL)
		return tls_write(c->tls, bytes, len);
	n = write(c->fd, bytes, len);
	return n < 0 ? -errno : n;
}

static ssize_t
read_some(struct channel *c, uint8_t *ret, size_t len)
{
	ssize_t n;

	if (c->tls != NULL)
		return tls_read(c->tls, ret, len);
	n = read(c->fd, ret, len);
	return n < 0 ? -errno : n;
}

static int
send_all(struct channel *c, const uint8_t *bytes, size_t len, uint64_t end_ms)
{
	while (len > 0) {
		ssize_t n = write_some(c, bytes, len);
		int result = n < 0 ? wait_as_told(c, n, POLLOUT, end_ms) : 0;

		if (result < 0)
			return result;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int
receive(struct channel *c, uint8_t *ret, size_t len, uint64_t end_ms)
{
	while (len > 0) {
		ssize_t n = read_some(c, ret, len);
		int result = n < 0 ? wait_as_told(c, n, POLLIN, end_ms) : 0;

		if (n == 0)
			return -ECONNRESET;
		if (result < 0)
			return result;
		if (n > 0) {
			ret += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* An EGD server sends no byte without a request, and keeps the connection open after a level. */
static int
expect_quiet(struct channel *c, uint64_t ms, bool stays_open)
{
	uint8_t byte;
	int result = receive(c, &byte, sizeof(byte), clock_now_ms() + ms);

	if (result == 0)
		return CONNECT_NOT_EGD;
	return stays_open && result != -ETIMEDOUT ? CONNECT_ENDED : 0;
}

/* A level comes in one piece: text of which a byte comes now and then is none. */
static int
receive_reply(struct channel *c, enum egd_op op, uint8_t *ret, size_t len, uint64_t end_ms)
{
	int result = receive(c, ret, 1, end_ms);

	if (result < 0 || op != EGD_LEVEL)
		return result < 0 ? result : receive(c, ret + 1, len - 1, end_ms);
	result = receive(c, ret + 1, len - 1, clock_now_ms() + EGD_QUIET_MS);
	return result == -ETIMEDOUT ? CONNECT_NOT_EGD : result;
}

int
channel_ask(struct channel *c, struct egd_request request, uint8_t *ret, size_t len,
	    uint64_t end_ms)
{
	uint8_t bytes[EGD_ASK_LEN];
	int result = expect_quiet(c, 0, false);

	if (result == 0)
		result = send_all(c, bytes, egd_wire_put_request(request, bytes), end_ms);
	if (result == 0)
		result = receive_reply(c, request.op, ret, len, end_ms);
	return result == 0 ? expect_quiet(c, EGD_QUIET_MS, request.op == EGD_LEVEL) : result;
}

const char *
channel_why(const struct channel *c, int error)
{
	if (c->tls != NULL && error != -ETIMEDOUT && error != CONNECT_NOT_EGD &&
	    error != CONNECT_ENDED)
		return tls_error_text(c->tls);
	return connect_why(error);
}
