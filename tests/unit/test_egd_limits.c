/* SPDX-License-Identifier: MIT */
/* How long a client of the EGD server may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/egd_rig.h"
#include "tests/unit/secret_scan.h"
#include "tests/unit/stopped_clock.h"

#define START_MS 10000
#define SLOW_MS 30000
#define HALF_MS 30000
#define IDLE_MS 3600000

#define SAY(rig, fd, literal) egd_rig_say(rig, fd, literal, sizeof(literal) - 1)

static void
wait_ms(struct egd_rig *rig, uint64_t ms)
{
	stopped_clock_advance(ms);
	egd_rig_turn(rig);
}

/* The only client is closed when the limit is over, for this reason, and not before. */
static void
assert_closed_after(struct egd_rig *rig, uint64_t limit_ms, enum egd_end end)
{
	wait_ms(rig, limit_ms - 1000);
	assert_int_equal(egd_rig_status(rig).clients, 1);
	wait_ms(rig, 1000);
	assert_int_equal(egd_rig_status(rig).clients, 0);
	assert_int_equal(egd_rig_status(rig).ended[end], 1);
}

static void
a_client_without_its_proxy_header_is_closed_after_10_s(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "PROXY TCP4 192");
	assert_closed_after(rig, START_MS, EGD_END_START);
	close(fd);
}

/* The limit of the beginning is over with it. */
static void
a_client_that_asks_nothing_is_closed_after_its_idle_time(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n");
	assert_closed_after(rig, IDLE_MS, EGD_END_IDLE);
	close(fd);
}

/* Asks until the client's socket takes no further replies. */
static void
ask_until_full(struct egd_rig *rig, int fd)
{
	uint8_t asked[200];
	uint64_t taken;

	for (size_t i = 0; i < sizeof(asked); i++)
		asked[i] = i % 2 == 0 ? 2 : 255;
	do {
		taken = egd_rig_totals(rig).delivered;
		(void)!send(fd, asked, sizeof(asked), MSG_DONTWAIT | MSG_NOSIGNAL);
		egd_rig_turn(rig);
		egd_rig_put(rig, pool_room(rig->pool));
	} while (egd_rig_totals(rig).delivered > taken);
}

/*
 * A client that has read no reply, with a full socket. Of a batch in small segments a socket takes
 * as many as it has room for.
 */
static int
join_a_slow_reader(struct egd_rig *rig)
{
	int fd, room = 4096, segment = 536;

	egd_rig_start_tcp(rig);
	setsockopt(rig->given, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	egd_rig_put(rig, 1 << 18);
	fd = egd_rig_join(rig);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	ask_until_full(rig, fd);
	return fd;
}

/* Its replies were sent in pieces, as its socket had room. */
static void
a_slow_reader_that_reads_on_has_every_byte_in_order(void **state)
{
	static uint8_t heard[1 << 19], stream[1 << 19];
	struct egd_rig *rig = *state;
	int fd = join_a_slow_reader(rig);
	size_t len = 0;
	bool ended;

	while (len < egd_rig_totals(rig).delivered)
		len += egd_rig_hear(rig, fd, heard + len, 1000, &ended);
	assert_true(len > 4096 && len < sizeof(heard));
	egd_rig_stream(0, len, stream);
	assert_memory_equal(heard, stream, len);
	assert_false(ended);
	close(fd);
}

static void
a_client_that_reads_nothing_is_closed_after_30_s(void **state)
{
	struct egd_rig *rig = *state;
	int fd = join_a_slow_reader(rig);
	uint8_t last[16];

	egd_rig_stream(rig->put - egd_rig_totals(rig).level - sizeof(last), sizeof(last), last);
	assert_true(secret_scan(last, sizeof(last)) > 0);
	assert_closed_after(rig, SLOW_MS, EGD_END_SLOW);
	assert_true(egd_rig_totals(rig).lost > 0);
	assert_int_equal(secret_scan(last, sizeof(last)), 0);
	close(fd);
}

/* Bytes that leave start it again; bytes that the client sends do not. */
static void
time_to_read_runs_on_while_a_client_only_sends(void **state)
{
	struct egd_rig *rig = *state;
	int fd = join_a_slow_reader(rig);
	uint64_t taken = egd_rig_totals(rig).delivered;
	uint8_t heard[4096];

	wait_ms(rig, SLOW_MS - 1000);
	do {
		(void)recv(fd, heard, sizeof(heard), MSG_DONTWAIT);
		egd_rig_turn(rig);
	} while (egd_rig_totals(rig).delivered == taken);
	ask_until_full(rig, fd);
	wait_ms(rig, SLOW_MS - 1000);
	SAY(rig, fd, "\2");
	assert_int_equal(egd_rig_status(rig).clients, 1);
	wait_ms(rig, 1000);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_SLOW], 1);
	close(fd);
}

static void
half_closed_client_without_its_reply_is_closed_after_30_s(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\4");
	wait_ms(rig, 10 * IDLE_MS); /* as long as it takes, while it may ask more */
	assert_int_equal(egd_rig_status(rig).clients, 1);
	shutdown(fd, SHUT_WR);
	egd_rig_turn(rig);
	assert_closed_after(rig, HALF_MS, EGD_END_LOST);
	close(fd);
}

static int
begin(void **state)
{
	return stopped_clock_begin(NULL) != 0 || egd_rig_begin(state) != 0;
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, egd_rig_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROMISE(a_client_without_its_proxy_header_is_closed_after_10_s),
		PROMISE(a_client_that_asks_nothing_is_closed_after_its_idle_time),
		PROMISE(a_client_that_reads_nothing_is_closed_after_30_s),
		PROMISE(time_to_read_runs_on_while_a_client_only_sends),
		PROMISE(a_slow_reader_that_reads_on_has_every_byte_in_order),
		PROMISE(half_closed_client_without_its_reply_is_closed_after_30_s),
	};

	return cmocka_run_group_tests_name("egd_limits", tests, NULL, NULL);
}
