/* SPDX-License-Identifier: MIT */
/* On a pty: what a tty is set to, that it is ours alone, and that it gets back what it had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/transport/tty.h"

struct pty {
	int master;
	const char *path;
	struct termios before;
};

static int
set_up(void **state)
{
	static struct pty p;
	int slave;

	p.master = posix_openpt(O_RDWR | O_NOCTTY);
	if (p.master < 0 || grantpt(p.master) != 0 || unlockpt(p.master) != 0)
		return -1;
	p.path = ptsname(p.master);
	slave = open(p.path, O_RDWR | O_NOCTTY);
	tcgetattr(slave, &p.before);
	close(slave);
	*state = &p;
	return 0;
}

static int
tear_down(void **state)
{
	struct pty *p = *state;

	close(p->master);
	return 0;
}

static void
every_byte_passes_both_ways_unchanged(void **state)
{
	struct pty *p = *state;
	struct tty tty;
	uint8_t all[256], got[256];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	assert_int_equal(tty_open(p->path, &tty), 0);
	assert_int_equal(write(p->master, all, 256), 256);
	assert_int_equal(read(tty.fd, got, 256), 256);
	assert_memory_equal(got, all, 256);
	assert_int_equal(write(tty.fd, all, 256), 256);
	assert_int_equal(read(p->master, got, 256), 256);
	assert_memory_equal(got, all, 256);
	tty_close(&tty);
}

static void
reading_never_waits(void **state)
{
	struct pty *p = *state;
	struct tty tty;
	uint8_t byte;

	assert_int_equal(tty_open(p->path, &tty), 0);
	assert_int_equal(read(tty.fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	tty_close(&tty);
}

static void
stale_input_is_thrown_away(void **state)
{
	struct pty *p = *state;
	struct tty tty;
	int slave = open(p->path, O_RDWR | O_NOCTTY); /* holds it, so that the bytes stay */
	uint8_t byte;

	assert_int_equal(write(p->master, "stale\n", 6), 6);
	assert_int_equal(tty_open(p->path, &tty), 0);
	assert_int_equal(read(tty.fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	tty_close(&tty);
	close(slave);
}

static void
settings_are_raw_and_then_as_they_were(void **state)
{
	struct pty *p = *state;
	struct termios now;
	struct tty tty;
	int slave;

	assert_int_equal(tty_open(p->path, &tty), 0);
	tcgetattr(tty.fd, &now);
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), 0);
	assert_int_equal(now.c_iflag & (IXON | IXOFF | ICRNL), 0);
	assert_int_equal(now.c_oflag & OPOST, 0);
	assert_int_equal(now.c_cflag & (CSIZE | CSTOPB | PARENB | CRTSCTS | HUPCL | CLOCAL | CREAD),
			 CS8 | CLOCAL | CREAD);
	assert_int_equal(cfgetispeed(&now), B115200);
	assert_int_equal(now.c_cc[VMIN], 1);
	assert_int_equal(now.c_cc[VTIME], 0);
	tty_close(&tty);
	slave = open(p->path, O_RDWR | O_NOCTTY);
	tcgetattr(slave, &now);
	close(slave);
	assert_int_equal(now.c_lflag, p->before.c_lflag);
	assert_int_equal(now.c_iflag, p->before.c_iflag);
	assert_int_equal(now.c_oflag, p->before.c_oflag);
	assert_int_equal(now.c_cflag, p->before.c_cflag);
	assert_memory_equal(now.c_cc, p->before.c_cc, sizeof(now.c_cc));
}

static void
second_taker_is_refused_until_the_first_leaves(void **state)
{
	struct pty *p = *state;
	struct tty first, second;

	assert_int_equal(tty_open(p->path, &first), 0);
	assert_int_equal(tty_open(p->path, &second), -EBUSY);
	tty_close(&first);
	assert_int_equal(tty_open(p->path, &second), 0);
	tty_close(&second);
}

static void
tty_that_vanished_is_closed_in_peace(void **state)
{
	struct pty *p = *state;
	struct tty tty;

	assert_int_equal(tty_open(p->path, &tty), 0);
	close(p->master);
	p->master = -1;
	tty_close(&tty);
	assert_int_equal(tty.fd, -1);
}

static void
what_is_no_tty_is_refused(void **state)
{
	struct tty tty;

	(void)state;
	assert_int_equal(tty_open("/dev/null", &tty), -ENOTTY);
	assert_int_equal(tty_open("/nowhere/tty", &tty), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_byte_passes_both_ways_unchanged),
		TEST(reading_never_waits),
		TEST(stale_input_is_thrown_away),
		TEST(settings_are_raw_and_then_as_they_were),
		TEST(second_taker_is_refused_until_the_first_leaves),
		TEST(tty_that_vanished_is_closed_in_peace),
		cmocka_unit_test(what_is_no_tty_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
