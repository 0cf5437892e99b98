/* SPDX-License-Identifier: MIT */
#include "egd/feed/channel.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/clock.h"
#include "lib/net.h"
#include "lib/xen_channel.h"

/* ---- connecting ---- */

static int
connect_address(const struct address *address, uint64_t end_ms)
{
	int fd = net_connect(address), result;

	if (fd < 0)
		return fd;
	result = connect_wait(fd, POLLOUT, end_ms);
	if (result == 0)
		result = net_connected(fd);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

/* Connects to the first address that accepts; each but the last has half of the time left. */
static int
connect_any(const struct addrinfo *found, uint64_t end_ms)
{
	int result = CONNECT_NO_HOST;

	for (; found != NULL && result < 0; found = found->ai_next) {
		struct address address = {.len = found->ai_addrlen};
		uint64_t now_ms = clock_now_ms();

		if (found->ai_addrlen > sizeof(address.in6) || now_ms >= end_ms)
			continue;
		memcpy(&address.in6, found->ai_addr, found->ai_addrlen);
		result = connect_address(
			&address, found->ai_next != NULL ? now_ms + (end_ms - now_ms) / 2 : end_ms);
	}
	return result;
}

/* ---- kinds of addresses ---- */

struct channel_kind {
	const char *prefix;
	/* Parses the text behind the prefix; returns NULL or an error. */
	const char *(*parse)(struct channel_to *to);
	int (*connect)(const struct channel_to *to, uint64_t end_ms);
	bool secure, trusted;
};

static const char *
parse_path(struct channel_to *to)
{
	return to->where[0] == '/' ? NULL : "expected an absolute path";
}

static const char *
parse_vsock(struct channel_to *to)
{
	return address_parse_vsock(to->where, &to->vsock);
}

static const char *
parse_host(struct channel_to *to)
{
	return address_parse_host(to->where, &to->host);
}

static const char *
parse_xen(struct channel_to *to)
{
	return to->where[0] == '\0' ? NULL : "expected only xen: its channel has a fixed name";
}

static int
connect_unix(const struct channel_to *to, uint64_t end_ms)
{
	(void)end_ms; /* connected at once, or the backlog is full: -EAGAIN */
	return net_unix_connect(to->where);
}

static int
connect_vsock(const struct channel_to *to, uint64_t end_ms)
{
	return connect_address(&to->vsock, end_ms);
}

static int
connect_host(const struct channel_to *to, uint64_t end_ms)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char port[6];
	int result;

	snprintf(port, sizeof(port), "%u", (unsigned)to->host.port);
	if (getaddrinfo(to->host.host, port, &hints, &found) != 0)
		return CONNECT_NO_HOST;
	result = connect_any(found, end_ms);
	freeaddrinfo(found);
	return result;
}

static int
connect_line(const struct channel_to *to, uint64_t end_ms)
{
	return connect_tty(to->where, end_ms);
}

static int
connect_channel(const struct channel_to *to, uint64_t end_ms)
{
	(void)to;
	return connect_xen(end_ms);
}

/* doc/design.md: the host, which has our memory and disk, is trusted, and an authenticated peer. */
static const struct channel_kind kinds[] = {
	{"unix:", parse_path, connect_unix, false, true},
	{"vsock:", parse_vsock, connect_vsock, false, true},
	{"tty:", parse_path, connect_line, false, true},
	{"xen", parse_xen, connect_channel, false, true},
	{"tls:", parse_host, connect_host, true, true},
	{"tcp:", parse_host, connect_host, false, false},
};

bool
channel_prepare(struct channel_to *to, const char *address, const struct options *options,
		char error[static TLS_ERROR_MAX])
{
	const char *wrong = "expected unix:, vsock:, tty:, xen, tls: or tcp:";

	*to = (struct channel_to){.address = address};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && to->kind == NULL; i++) {
		if (strncmp(address, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		to->kind = &kinds[i];
		to->where = address + strlen(kinds[i].prefix);
		to->trusted = kinds[i].trusted || options->trusted;
		wrong = kinds[i].parse(to);
	}
	if (wrong != NULL) {
		snprintf(error, TLS_ERROR_MAX, "%s", wrong);
		return false;
	}
	if (to->kind->secure) {
		struct tls_config config = {.psk = options->psk,
					    .identity = options->identity,
					    .ca = options->ca,
					    .cert = options->cert,
					    .key = options->key,
					    .peer_name = to->host.host};

		to->tls = tls_context_new(&config, error);
	}
	return !to->kind->secure || to->tls != NULL;
}

/* ---- one channel ---- */

/* Waits until a step that returned `result` can be tried again: 0, or the error of the step. */
static int
wait_to_retry(const struct channel *c, ssize_t result, short events, uint64_t end_ms)
{
	if (c->tls != NULL && result == TLS_WANT_READ)
		events = POLLIN;
	else if (c->tls != NULL && result == TLS_WANT_WRITE)
		events = POLLOUT;
	else if (result != -EAGAIN)
		return (int)result;
	return connect_wait(c->fd, events, end_ms);
}

static int
shake_hands(struct channel *c, uint64_t end_ms)
{
	int step, result = 0;

	while (result == 0 && (step = tls_handshake(c->tls)) != 0)
		result = wait_to_retry(c, step, 0, end_ms);
	return result;
}

int
channel_open(struct channel *c, const struct channel_to *to, uint64_t end_ms)
{
	*c = (struct channel){.fd = to->kind->connect(to, end_ms)};
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
write_some(struct channel *c, uint8_t *bytes, size_t len)
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

/* Moves all bytes one way: `step` is read_some() or write_some(). */
static int
move_all(struct channel *c, ssize_t (*step)(struct channel *c, uint8_t *bytes, size_t len),
	 short events, uint8_t *bytes, size_t len, uint64_t end_ms)
{
	while (len > 0) {
		ssize_t n = step(c, bytes, len);
		int result = n < 0 ? wait_to_retry(c, n, events, end_ms) : 0;

		if (n == 0)
			return -ECONNRESET;
		if (result < 0)
			return result;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int
receive(struct channel *c, uint8_t *ret, size_t len, uint64_t end_ms)
{
	return move_all(c, read_some, POLLIN, ret, len, end_ms);
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

/* Receives a reply; a level must come in one piece, unlike text that drips. */
static int
receive_reply(struct channel *c, enum egd_op op, uint8_t *ret, size_t len, uint64_t end_ms)
{
	int result = receive(c, ret, 1, end_ms);

	if (result < 0 || op != EGD_GET_COUNT)
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
		result = move_all(c, write_some, POLLOUT, bytes,
				  egd_wire_put_request(request, bytes), end_ms);
	if (result == 0)
		result = receive_reply(c, request.op, ret, len, end_ms);
	return result == 0 ? expect_quiet(c, EGD_QUIET_MS, request.op == EGD_GET_COUNT) : result;
}

static const char *
connect_why(int error)
{
	switch (error) {
	case CONNECT_NO_HOST:
		return "no such host";
	case CONNECT_NO_XEN:
		return xen_channel_error_text(ENOENT);
	case CONNECT_NO_CHANNEL:
		return xen_channel_error_text(ENODEV);
	case CONNECT_NO_ANSWER:
		return "no answer: does the daemon at the other end have a [listen] for this line?";
	case CONNECT_NOT_EGD:
		return EGD_TEXT_NOT_ASKED;
	case CONNECT_ENDED:
		return "the connection ended after four bytes, where an EGD server keeps it open: "
		       "is this a time server?";
	default:
		return strerror(-error);
	}
}

const char *
channel_why(const struct channel *c, int error)
{
	if (c->tls != NULL && error != -ETIMEDOUT && error != CONNECT_NOT_EGD &&
	    error != CONNECT_ENDED)
		return tls_error_text(c->tls);
	return connect_why(error);
}
