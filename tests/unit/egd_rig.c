/* SPDX-License-Identifier: MIT */
#include "tests/unit/egd_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/net.h"

#define TURNS 10

int
egd_rig_begin(void **state)
{
	const struct pool_config pool = {.size = 1 << 18, .max_handles = 256, .max_waiters = 256};
	struct egd_rig *rig = calloc(1, sizeof(*rig));

	strcpy(rig->dir, "/tmp/ekey-egd.XXXXXX");
	if (mkdtemp(rig->dir) == NULL)
		return -1;
	sprintf(rig->path, "%s/egd", rig->dir);
	rig->base = event_base_new();
	rig->pool = pool_new(&pool);
	rig->given = -1;
	rig->config = (struct egd_listen_config){
		.name = "rig", .mode = 0600, .weight = 1, .max_clients = 8, .idle_ms = 3600000};
	sprintf(rig->config.address, "unix:%s", rig->path);
	*state = rig;
	return 0;
}

int
egd_rig_end(void **state)
{
	struct egd_rig *rig = *state;

	egd_server_stop(&rig->server, false);
	egd_rig_totals(rig);
	pool_free(&rig->pool);
	event_base_free(rig->base);
	if (rig->given >= 0)
		close(rig->given);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

void
egd_rig_start(struct egd_rig *rig)
{
	assert_int_equal(egd_server_start(rig->base, rig->pool, &rig->config, rig->given,
					  rig->connector, -1, &rig->server),
			 0);
}

/* Port 0 is for the kernel to choose, and not for a configuration: the socket is given. */
void
egd_rig_start_tcp(struct egd_rig *rig)
{
	struct address address;

	assert_true(address_from_ip("127.0.0.1", 0, &address));
	rig->given = net_listen(&address);
	assert_true(rig->given >= 0);
	assert_int_equal(getsockname(rig->given, &address.any, &address.len), 0);
	rig->port = ntohs(address.in4.sin_port);
	strcpy(rig->config.address, "systemd:rig");
	egd_rig_start(rig);
}

void
egd_rig_turn(struct egd_rig *rig)
{
	for (int i = 0; i < TURNS; i++)
		event_base_loop(rig->base, EVLOOP_NONBLOCK);
}

void
egd_rig_until(struct egd_rig *rig, bool (*true_now)(void *arg), void *arg)
{
	while (!true_now(arg))
		event_base_loop(rig->base, EVLOOP_ONCE);
}

void
egd_rig_stream(uint64_t from, size_t len, uint8_t *ret)
{
	for (size_t i = 0; i < len; i++, from++)
		ret[i] = (uint8_t)(from / 4 >> (8 * (3 - from % 4)));
}

void
egd_rig_put(struct egd_rig *rig, size_t len)
{
	uint8_t bytes[4096];

	while (len > 0) {
		size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

		egd_rig_stream(rig->put, n, bytes);
		assert_int_equal(pool_put(rig->pool, bytes, n), n);
		rig->put += n;
		len -= n;
	}
	egd_rig_turn(rig);
}

int
egd_rig_join(struct egd_rig *rig)
{
	struct address address;
	int fd;

	if (rig->given < 0) {
		fd = net_unix_connect(rig->path);
	} else {
		assert_true(address_from_ip("127.0.0.1", rig->port, &address));
		fd = net_connect(&address);
	}
	assert_true(fd >= 0);
	egd_rig_turn(rig);
	return fd;
}

void
egd_rig_say(struct egd_rig *rig, int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
	egd_rig_turn(rig);
}

size_t
egd_rig_hear(struct egd_rig *rig, int fd, uint8_t *ret, size_t cap, bool *ret_ended)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < cap) {
		egd_rig_turn(rig);
		n = recv(fd, ret + len, cap - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	}
	*ret_ended = n == 0 || (n < 0 && errno != EAGAIN);
	return len;
}

void
egd_rig_hears(struct egd_rig *rig, int fd, const void *bytes, size_t len)
{
	uint8_t heard[4096];
	bool ended;

	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), len);
	assert_memory_equal(heard, bytes, len);
	assert_false(ended);
}

void
egd_rig_hears_the_end(struct egd_rig *rig, int fd)
{
	uint8_t heard[16];
	bool ended;

	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), 0);
	assert_true(ended);
	close(fd);
}

struct egd_server_status
egd_rig_status(const struct egd_rig *rig)
{
	struct egd_server_status status;

	egd_server_status(rig->server, &status);
	return status;
}

struct pool_totals
egd_rig_totals(const struct egd_rig *rig)
{
	struct pool_totals totals;

	pool_totals(rig->pool, &totals);
	assert_int_equal(totals.in, rig->put);
	assert_int_equal(totals.in, totals.delivered + totals.lost + totals.held);
	return totals;
}
