/* SPDX-License-Identifier: MIT */
/* Files that are on their way between processes are all there, and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv/heir.h"
#include "priv/parcel.h"

#define FILES (2 * PARCEL_BATCH + 7)

/* A pipe, known by its number. */
static ino_t
inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
files_come_out_in_the_order_in_which_they_were_put(void **state)
{
	static int fds[FILES];
	ino_t put[FILES];
	struct parcel p;

	(void)state;
	assert_int_equal(parcel_new(&p), 0);
	for (unsigned i = 0; i < FILES; i++) {
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		close(ends[1]);
		fds[i] = ends[0];
		put[i] = inode_of(fds[i]);
		assert_int_equal(parcel_put(&p, fds[i]), 0);
	}
	assert_int_equal(parcel_seal(&p), 0);
	for (unsigned i = 0; i < FILES; i++)
		close(fds[i]);
	for (unsigned i = 0; i < FILES; i++) {
		int fd = parcel_take(&p);

		assert_true(fd >= 0);
		assert_int_equal(inode_of(fd), put[i]);
		close(fd);
	}
	assert_int_equal(parcel_take(&p), -1);
	parcel_close(&p);
}

/* A pipe's reader knows when nobody can write any more. */
static bool
is_writable(int reader)
{
	char byte;

	return read(reader, &byte, 1) != 0;
}

static void
what_nobody_takes_is_closed(void **state)
{
	struct parcel p;
	int ends[2];

	(void)state;
	assert_int_equal(parcel_new(&p), 0);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(parcel_put(&p, ends[1]), 0);
	assert_int_equal(parcel_seal(&p), 0);
	close(ends[1]);
	assert_true(is_writable(ends[0]));
	parcel_close(&p);
	assert_false(is_writable(ends[0]));
	close(ends[0]);
}

/* None takes the place of one that does not come. */
static void
what_cannot_be_open_at_once_is_cut_off(void **state)
{
	struct rlimit before, low;
	struct parcel p;
	int place, taken = 0;

	(void)state;
	assert_int_equal(parcel_new(&p), 0);
	for (int i = 0; i < 2 * PARCEL_BATCH; i++)
		assert_int_equal(parcel_put(&p, p.in), 0);
	assert_int_equal(parcel_seal(&p), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	place = dup(p.in);
	low = (struct rlimit){.rlim_cur = (rlim_t)place + 100, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int fd; (fd = parcel_take(&p)) >= 0; taken++)
		close(fd); /* there is room again, for a batch that must not come */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(p.cut);
	assert_in_range(taken, 1, PARCEL_BATCH - 1);
	close(place);
	parcel_close(&p);
}

/* ---- the heir ---- */

#define OPENED 50 /* the numbers of two files, known before they are there */
#define CLOSED 51

static void
write_into_both(void *arg)
{
	(void)arg;
	(void)!write(OPENED, "opened", strlen("opened"));
	(void)!write(CLOSED, "closed", strlen("closed"));
}

static _Noreturn void
live_and_die(int report)
{
	if (dup2(report, CLOSED) != CLOSED || heir_start(write_into_both, NULL) < 0 ||
	    dup2(report, OPENED) != OPENED)
		_exit(1);
	close(CLOSED);
	kill(getpid(), SIGKILL);
	_exit(1);
}

static void
heir_has_what_was_open_and_not_what_was_closed(void **state)
{
	char text[32] = "";
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0)
		live_and_die(ends[1]);
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(ends[0], text, sizeof(text) - 1), strlen("opened"));
	assert_string_equal(text, "opened");
	assert_int_equal(read(ends[0], text, 1), 0); /* it has ended */
	close(ends[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_out_in_the_order_in_which_they_were_put),
		cmocka_unit_test(what_nobody_takes_is_closed),
		cmocka_unit_test(what_cannot_be_open_at_once_is_cut_off),
		cmocka_unit_test(heir_has_what_was_open_and_not_what_was_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
