/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/net.h"
#include "lib/priv/connect_helper.h"
#include "tests/unit/folder.h"

#define PATIENCE_MS 20000

struct rig {
	char dir[FOLDER_MAX], path[FOLDER_MAX + CONNECT_HELPER_NAME_MAX];
	struct helper helper;
	int listener;
};

static void
listen_at(struct rig *rig, const char *name)
{
	snprintf(rig->path, sizeof(rig->path), "%s/%s", rig->dir, name);
	rig->listener = net_unix_listen(rig->path, 0600);
	assert_true(rig->listener >= 0);
}

static int
set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){.listener = -1};
	if (!folder_make(rig.dir) || chmod(rig.dir, 0755) != 0)
		return -1;
	*state = &rig;
	return connect_helper_start(&rig.helper, NULL, rig.dir);
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	helper_stop(&rig->helper);
	if (rig->listener >= 0) {
		close(rig->listener);
		unlink(rig->path);
	}
	rmdir(rig->dir);
	return 0;
}

static int
answer_of(struct rig *rig, char ret_name[static CONNECT_HELPER_NAME_MAX])
{
	struct pollfd one = {.fd = rig->helper.fd, .events = POLLIN};

	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
	return connect_helper_answer(&rig->helper, ret_name);
}

static void
connects_where_only_the_owner_may(void **state)
{
	struct rig *rig = *state;
	char name[CONNECT_HELPER_NAME_MAX], byte = 0;
	struct address peer;
	int ours, theirs;

	listen_at(rig, "ekey-guest");
	assert_int_equal(connect_helper_request(&rig->helper, "ekey-guest"), 0);
	ours = answer_of(rig, name);
	assert_true(ours >= 0);
	assert_string_equal(name, "ekey-guest");
	theirs = net_accept(rig->listener, &peer);
	assert_true(theirs >= 0);
	assert_int_equal(write(theirs, "x", 1), 1);
	assert_int_equal(read(ours, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(ours);
	close(theirs);
}

static void
says_why_it_cannot_connect(void **state)
{
	struct rig *rig = *state;
	char name[CONNECT_HELPER_NAME_MAX];

	assert_int_equal(connect_helper_request(&rig->helper, "ekey-away"), 0);
	assert_int_equal(answer_of(rig, name), -ENOENT);
	assert_string_equal(name, "ekey-away");
	assert_int_equal(connect_helper_answer(&rig->helper, name), -EAGAIN);
	assert_string_equal(name, "");
}

static void
ends_at_a_name_that_is_not_for_it(struct rig *rig, const char *order)
{
	char name[CONNECT_HELPER_NAME_MAX];

	assert_int_equal(connect_helper_request(&rig->helper, order), 0);
	assert_int_equal(answer_of(rig, name), -EPIPE);
	assert_string_equal(name, "");
}

static void
takes_no_other_socket(void **state)
{
	listen_at(*state, "qmp");
	ends_at_a_name_that_is_not_for_it(*state, "qmp");
}

static void
takes_no_other_directory(void **state)
{
	ends_at_a_name_that_is_not_for_it(*state, "ekey-/../qmp");
}

static void
a_directory_that_is_not_there_is_said_at_once(void **state)
{
	struct helper helper;

	(void)state;
	assert_int_equal(connect_helper_start(&helper, NULL, "/nowhere/at/all"), -ENOENT);
}

int
main(int argc, char **argv)
{
	static const struct helper_role *const roles[] = {&connect_helper_role, NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(connects_where_only_the_owner_may, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(says_why_it_cannot_connect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_no_other_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_no_other_directory, set_up, tear_down),
		cmocka_unit_test(a_directory_that_is_not_there_is_said_at_once),
	};

	(void)argc;
	helper_main(roles, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
