/* SPDX-License-Identifier: MIT */
#include "guest/channel.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/net.h"
#include "base/xen_channel.h"
#include "guest/connect.h"

/* ---- connecting ---- */

static const char *
check_path(const char *where)
{
	return where[0] == '/' ? NULL : "expected an absolute path";
}

static int
connect_unix(const char *path, uint64_t end_ms)
{
	(void)end_ms; /* connected at once, or the backlog is full: -EAGAIN */
	return net_unix_connect(path);
}

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

static const char *
check_vsock(const char *where)
{
	struct address address;

	return address_parse_vsock(where, &address);
}

static int
connect_vsock(const char *where, uint64_t end_ms)
{
	struct address address;

	(void)address_parse_vsock(where, &address);
	return connect_address(&address, end_ms);
}

static const char *
check_host(const char *where)
{
	struct address_host at;

	return address_parse_host(where, &at);
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

static int
connect_host(const char *where, uint64_t end_ms)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	struct address_host at;
	char port[6];
	int result;

	(void)address_parse_host(where, &at);
	snprintf(port, sizeof(port), "%u", (unsigned)at.port);
	if (getaddrinfo(at.host, port, &hints, &found) != 0)
		return CONNECT_NO_HOST;
	result = connect_any(found, end_ms);
	freeaddrinfo(found);
	return result;
}

static const char *
check_xen(const char *where)
{
	return where[0] == '\0' ? NULL : "expected only xen: its channel has a fixed name";
}

/* ---- kinds of addresses ---- */

struct channel_kind {
	const char *prefix;
	const char *(*check)(const char *where); /* NULL, or what is wrong with it */
	int (*connect)(const char *where, uint64_t end_ms);
	bool secure, trusted;
};

/* doc/design.md: the host, which has our memory and disk, is trusted, and an authenticated peer. */
static const struct channel_kind kinds[] = {
	{"unix:", check_path, connect_unix, false, true},
	{"vsock:", check_vsock, connect_vsock, false, true},
	{"tty:", check_path, connect_tty, false, true},
	{"xen", check_xen, connect_xen, false, true},
	{"tls:", check_host, connect_host, true, true},
	{"tcp:", check_host, connect_host, false, false},
};

static bool
prepare_tls(struct channel_to *to, const struct options *o, char error[static TLS_ERROR_MAX])
{
	struct address_host at;
	struct tls_config config = {.psk = o->psk,
				    .identity = o->identity,
				    .ca = o->ca,
				    .cert = o->cert,
				    .key = o->key,
				    .peer_name = at.host};

	(void)address_parse_host(to->where, &at);
	to->tls = tls_context_new(&config, error);
	return to->tls != NULL;
}

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
		wrong = kinds[i].check(to->where);
	}
	if (wrong != NULL) {
		snprintf(error, TLS_ERROR_MAX, "%s", wrong);
		return false;
	}
	return !to->kind->secure || prepare_tls(to, options, error);
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
		int result = n < 0 ? wait_to_retry(c, n, POLLOUT, end_ms) : 0;

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
		int result = n < 0 ? wait_to_retry(c, n, POLLIN, end_ms) : 0;

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

/* Receives a reply; a level must come in one piece, unlike text that drips. */
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
