/* SPDX-License-Identifier: MIT */
#include "tests/system/egd_reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEPTH_MAX 32 /* requests at once: RECORD_LOST_MAX */
#define LEN_MAX 255
#define ADD_LEN 3 /* bytes that we offer, and that must come back to nobody */

_Static_assert(DEPTH_MAX *(LEN_MAX + 1) <= RECORD_LOST_MAX, "what one who leaves may be owed");

enum op { LEVEL, TRY, READ, ADD, PID };

struct request {
	enum op op;
	uint8_t len;
};

static void
fail(const char *what)
{
	fprintf(stderr, "egd reader: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- the connection ---- */

bool
egd_reader_knows(const char *outlet)
{
	return strncmp(outlet, "unix:", 5) == 0 || strncmp(outlet, "tcp:", 4) == 0;
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail(path);
	return fd;
}

/* From one of 16 addresses: several identities, each with several connections. */
static int
connect_tcp(const char *port)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	from.sin_addr.s_addr = htonl(0x7f010000 + 1 + (uint32_t)random() % 16);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail(port);
	return fd;
}

/* Without interruption: a connect() that was interrupted goes on, and cannot be called again. */
static int
open_outlet(const char *outlet)
{
	const char *where = strchr(outlet, ':') + 1;
	sigset_t all, before;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	fd = outlet[0] == 'u' ? connect_unix(where) : connect_tcp(where);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

/* At least one byte. */
static size_t
receive(struct record *r, int fd, uint8_t *ret, size_t len)
{
	ssize_t n;

	while ((n = recv(fd, ret, len, 0)) < 0 && errno == EINTR)
		atomic_fetch_add(&r->interrupted, 1);
	if (n <= 0)
		fail(n == 0 ? "closed with answers owed" : "recv");
	return (size_t)n;
}

static void
receive_all(struct record *r, int fd, uint8_t *ret, size_t len)
{
	for (size_t n; len > 0; ret += n, len -= n)
		n = receive(r, fd, ret, len);
}

/* ---- asking ---- */

/* Mostly reads, some of them tries; now and then what moves no entropy. */
static struct request
any_request(void)
{
	static const enum op others[] = {LEVEL, ADD, PID};
	struct request request = {.len = (uint8_t)(1 + random() % LEN_MAX)};
	long dice = random() % 16;

	request.op = dice == 0 ? others[random() % 3] : dice < 4 ? TRY : READ;
	return request;
}

static size_t
put_request(struct request request, uint8_t *ret)
{
	static const uint8_t add[] = {ADD, 0, 8 * ADD_LEN, ADD_LEN, 'a', 'd', 'd'};

	if (request.op == ADD) {
		memcpy(ret, add, sizeof(add));
		return sizeof(add);
	}
	ret[0] = request.op;
	ret[1] = request.len;
	return request.op == TRY || request.op == READ ? 2 : 1;
}

static void
send_all(struct record *r, int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EINTR) {
			atomic_fetch_add(&r->interrupted, 1);
		} else {
			fail("send");
		}
	}
}

static void
ask(struct record *r, int fd, struct request *ret, size_t count)
{
	uint8_t bytes[DEPTH_MAX * 8];
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		ret[i] = any_request();
		len += put_request(ret[i], bytes + len);
	}
	send_all(r, fd, bytes, len);
}

/* ---- answers ---- */

/* Straight into the record, as they come: whatever we have taken is accounted for. */
static void
take_entropy(struct record *r, int fd, size_t len)
{
	for (size_t n; len > 0; len -= n) {
		n = receive(r, fd, record_room(r), len);
		record_keep(r, n);
	}
}

static void
take_answer(struct record *r, int fd, struct request asked)
{
	uint8_t bytes[LEN_MAX], count = asked.len;

	if (asked.op == TRY || asked.op == PID)
		receive_all(r, fd, &count, 1);
	if (asked.op == TRY && count > asked.len)
		fail("more than was asked for");
	if (asked.op == TRY || asked.op == READ)
		take_entropy(r, fd, count);
	else if (asked.op == LEVEL)
		receive_all(r, fd, bytes, 4);
	else if (asked.op == PID)
		receive_all(r, fd, bytes, count);
	if (asked.op == PID && (count == 0 || strspn((char *)bytes, "0123456789") < count))
		fail("a process id that is no number");
}

static void
expect_end(struct record *r, int fd)
{
	uint8_t byte;
	ssize_t n;

	while ((n = recv(fd, &byte, 1, 0)) < 0 && errno == EINTR)
		atomic_fetch_add(&r->interrupted, 1);
	if (n > 0)
		fail("bytes that were not asked for");
}

/* One batch; false when the connection is over. */
static bool
converse(struct record *r, int fd)
{
	struct request asked[DEPTH_MAX];
	size_t count = 1 + (size_t)random() % DEPTH_MAX;
	bool half = random() % 16 == 0, leave = random() % 32 == 0;
	size_t taken = leave ? (size_t)random() % count : count;

	ask(r, fd, asked, count);
	if (half)
		shutdown(fd, SHUT_WR);
	for (size_t i = 0; i < taken && !record_is_full(r); i++)
		take_answer(r, fd, asked[i]);
	if (half && taken == count && !record_is_full(r))
		expect_end(r, fd);
	if (leave)
		atomic_fetch_add(&r->left, 1);
	return !half && !leave;
}

void
egd_reader_run(struct record *r, const char *outlet)
{
	while (!record_is_full(r)) {
		int fd = open_outlet(outlet);

		while (!record_is_full(r) && converse(r, fd))
			;
		close(fd);
	}
	atomic_fetch_add(&r->left, 1);
}
