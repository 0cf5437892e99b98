/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "priv/kept.h"

static int ends[2];

static int
set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int
tear_down(void **state)
{
	(void)state;
	close(ends[0]);
	return close(ends[1]);
}

static int
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void
what_is_sent_arrives_each_in_its_place(void **state)
{
	int null = open("/dev/null", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
	const struct kept sent = {.path = "/dev/ekey-random", .fds = {null, -1, zero}};
	enum kept_act act;
	struct kept got;

	(void)state;
	assert_int_equal(kept_send(ends[0], KEPT_KEEP, &sent), 0);
	assert_int_equal(kept_receive(ends[1], &act, &got), 0);
	assert_int_equal(act, KEPT_KEEP);
	assert_string_equal(got.path, "/dev/ekey-random");
	assert_int_equal(got.fds[KEPT_TABLE], -1);
	assert_true(same_file(got.fds[KEPT_CARRIER], null));
	assert_true(same_file(got.fds[KEPT_LOCK], zero));
	assert_int_equal(fcntl(got.fds[KEPT_LOCK], F_GETFD), FD_CLOEXEC);
	kept_close(&got);
	assert_int_equal(got.fds[KEPT_LOCK], -1);
	close(null);
	close(zero);
}

static void
a_word_without_fds_is_one_too(void **state)
{
	enum kept_act act;
	struct kept got;

	(void)state;
	assert_int_equal(kept_send(ends[0], KEPT_READY, NULL), 0);
	assert_int_equal(kept_receive(ends[1], &act, &got), 0);
	assert_int_equal(act, KEPT_READY);
	assert_string_equal(got.path, "");
	assert_int_equal(got.fds[KEPT_CARRIER], -1);
}

static void
what_is_too_short_or_too_long_is_refused(void **state)
{
	static const char bytes[1024];
	enum kept_act act;
	struct kept got;

	(void)state;
	for (size_t len = 1; len < 300; len++) {
		if (len == 8 + KEPT_PATH_MAX)
			continue;
		assert_int_equal(send(ends[0], bytes, len, 0), len);
		assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
	}
	assert_int_equal(send(ends[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	struct {
		uint32_t act, there;
		char path[KEPT_PATH_MAX];
	} m = {.act = KEPT_END + 1};
	enum kept_act act;
	struct kept got;

	(void)state;
	send(ends[0], &m, sizeof(m), 0);
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
	m.act = KEPT_KEEP;
	m.there = 1; /* and it is not */
	send(ends[0], &m, sizeof(m), 0);
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
	m.there = 0;
	memset(m.path, 'x', sizeof(m.path));
	send(ends[0], &m, sizeof(m), 0);
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
}

/* It would overflow what is made for three. */
static void
a_fourth_fd_is_refused_and_none_is_left_open(void **state)
{
	struct {
		uint32_t act, there;
		char path[KEPT_PATH_MAX];
	} m = {.act = KEPT_KEEP, .there = 7};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {.header = {CMSG_LEN(4 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	const int fds[] = {ends[0], ends[0], ends[0], ends[0]};
	struct iovec iov = {&m, sizeof(m)};
	const struct msghdr header = {.msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = CMSG_LEN(sizeof(fds))};
	int before = dup(ends[0]), after;
	enum kept_act act;
	struct kept got;

	(void)state;
	close(before);
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(sendmsg(ends[0], &header, 0), sizeof(m));
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPROTO);
	after = dup(ends[0]);
	assert_int_equal(after, before);
	close(after);
}

static void
who_is_gone_is_told_from_who_is_late(void **state)
{
	enum kept_act act;
	struct kept got;

	(void)state;
	assert_int_equal(kept_await(ends[1], 0), -ETIMEDOUT);
	assert_int_equal(kept_answer(ends[0], KEPT_BY_MANAGER), 0);
	assert_int_equal(kept_await(ends[1], 0), KEPT_BY_MANAGER);
	shutdown(ends[0], SHUT_RDWR);
	assert_int_equal(kept_receive(ends[1], &act, &got), -EPIPE);
	assert_int_equal(kept_await(ends[1], 0), -EPIPE);
	assert_int_equal(kept_send(ends[1], KEPT_END, NULL), -EPIPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_sent_arrives_each_in_its_place, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_word_without_fds_is_one_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_too_short_or_too_long_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fourth_fd_is_refused_and_none_is_left_open,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_gone_is_told_from_who_is_late, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
