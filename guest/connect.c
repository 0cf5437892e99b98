/* SPDX-License-Identifier: MIT */
#include "guest/connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/net.h"
#include "base/xen_channel.h"
#include "egd/egd_wire.h"

/* ---- waiting ---- */

int
connect_wait(int fd, short events, uint64_t end_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	for (;;) {
		uint64_t now_ms = clock_now_ms();
		int n;

		if (now_ms >= end_ms)
			return -ETIMEDOUT;
		n = poll(&one, 1, (int)(end_ms - now_ms));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

const char *
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
		return "no answer: the daemon at the other end needs a [listen] for this line";
	case CONNECT_NOT_EGD:
		return EGD_TEXT_NOT_ASKED;
	case CONNECT_ENDED:
		return "the connection ended after four bytes, where an EGD server keeps it open: "
		       "is this a time server?";
	default:
		return strerror(-error);
	}
}

/* ---- paths ---- */

const char *
check_path(const char *where)
{
	return where[0] == '/' ? NULL : "an absolute path is needed";
}

int
connect_unix(const char *path, uint64_t end_ms)
{
	(void)end_ms; /* it is there at once, or its backlog is full: -EAGAIN */
	return net_unix_connect(path);
}

/* ---- sockets ---- */

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

const char *
check_vsock(const char *where)
{
	struct address address;

	return address_parse_vsock(where, &address);
}

int
connect_vsock(const char *where, uint64_t end_ms)
{
	struct address address;

	(void)address_parse_vsock(where, &address);
	return connect_address(&address, end_ms);
}

const char *
check_host(const char *where)
{
	struct address_host at;

	return address_parse_host(where, &at);
}

/* The first of the host's addresses that takes us; one that is silent leaves the next some time. */
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

int
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
