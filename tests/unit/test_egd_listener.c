/* SPDX-License-Identifier: MIT */
/* The socket of a [listen] section: made, resumed, or given by the service manager. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "egd/server/listener.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_lines.h"

struct rig {
	char dir[FOLDER_MAX], path[FOLDER_MAX + 16];
	struct egd_listen_config config;
};

static int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (r == NULL || !folder_make(r->dir))
		return -1;
	sprintf(r->path, "%s/egd", r->dir);
	strcpy(r->config.name, "a");
	sprintf(r->config.address, "unix:%s", r->path);
	r->config.mode = 0600;
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	unlink(r->path);
	rmdir(r->dir);
	free(r);
	return 0;
}

/* egd_listener_open(), and how often the log had `line`. */
static int
open_saying(const struct rig *r, int given, int previous, const char *line)
{
	int err = log_lines_begin();
	int fd = egd_listener_open(&r->config, given, previous);
	unsigned said = log_lines_count(line);

	log_lines_end(err);
	assert_int_equal(said, 1);
	return fd;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 0777;
}

/* The port that a TCP socket has. */
static unsigned
port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

static int
tcp_socket(const char *ip, bool listens)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, ip, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listens ? listen(fd, 1) : 0, 0);
	return fd;
}

/* ---- those of a previous daemon ---- */

static void
a_unix_socket_of_a_previous_daemon_is_resumed_with_its_new_mode(void **state)
{
	struct rig *r = *state;
	int fd = egd_listener_open(&r->config, -1, -1);

	assert_true(fd >= 0);
	assert_int_equal(mode_of(r->path), 0600);
	r->config.mode = 0666;
	assert_true(egd_listener_resumes(&r->config, fd));
	assert_int_equal(egd_listener_open(&r->config, -1, fd), fd);
	assert_int_equal(mode_of(r->path), 0666);
	egd_listener_close(r->config.address, fd);
	assert_int_equal(access(r->path, F_OK), -1);
}

static void
a_unix_socket_of_another_path_is_not_resumed(void **state)
{
	struct rig *r = *state;
	int previous = egd_listener_open(&r->config, -1, -1);

	strcat(r->config.address, "2");
	assert_false(egd_listener_resumes(&r->config, previous));
	egd_listener_close(r->config.address, previous);
}

static void
a_tcp_socket_of_a_previous_daemon_is_resumed_at_its_address_only(void **state)
{
	struct rig *r = *state;
	int other = tcp_socket("127.0.0.1", true), previous = tcp_socket("127.0.0.1", true);

	sprintf(r->config.address, "tcp:127.0.0.1:%u", port_of(previous));
	assert_false(egd_listener_resumes(&r->config, other));
	assert_true(egd_listener_resumes(&r->config, previous));
	assert_int_equal(egd_listener_open(&r->config, -1, previous), previous);
	egd_listener_close(r->config.address, previous);
	close(other);
}

static void
an_address_that_is_taken_says_so(void **state)
{
	struct rig *r = *state;
	int other = tcp_socket("127.0.0.1", true);

	sprintf(r->config.address, "tcp:127.0.0.1:%u", port_of(other));
	assert_int_equal(open_saying(r, -1, -1, "another process listens there"), -EADDRINUSE);
	strcpy(r->config.address, "tcp:192.0.2.1:4711");
	assert_int_equal(open_saying(r, -1, -1, "no interface has it"), -EADDRNOTAVAIL);
	close(other);
}

/* ---- owners ---- */

static void
an_owner_can_be_a_user_a_group_or_both(void **state)
{
	static const char *const good[] = {"root", "root:root", ":root", ""};
	static const char *const bad[] = {"no-user", "root:no-group", ":no-group", "no-user:root"};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		strcpy(r->config.owner, good[i]);
		assert_null(egd_listener_missing(&r->config));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(r->config.owner, bad[i]);
		assert_string_equal(egd_listener_missing(&r->config), "no such user or group");
	}
}

static void
a_socket_whose_owner_is_unknown_is_not_left_there(void **state)
{
	struct rig *r = *state;

	strcpy(r->config.owner, "no-user");
	assert_int_equal(open_saying(r, -1, -1, "cannot make no-user the owner of"), -EINVAL);
	assert_int_equal(access(r->path, F_OK), -1);
}

/* ---- those that the service manager gives ---- */

static void
a_given_socket_is_copied_and_does_not_block(void **state)
{
	struct rig *r = *state;
	int given = tcp_socket("127.0.0.1", true), fd;

	strcpy(r->config.address, "systemd:a");
	fd = egd_listener_open(&r->config, given, -1);
	assert_true(fd >= 0 && fd != given);
	assert_int_equal(port_of(fd), port_of(given));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	egd_listener_close(r->config.address, fd);
	close(given);
}

static void
a_given_socket_must_be_there_and_listen(void **state)
{
	struct rig *r = *state;
	int given = tcp_socket("127.0.0.1", false);

	strcpy(r->config.address, "systemd:a");
	assert_int_equal(open_saying(r, -1, -1, "systemd passed no socket"), -EINVAL);
	assert_int_equal(open_saying(r, given, -1, "expected a listening stream socket"), -EINVAL);
	close(given);
}

static void
a_given_socket_that_all_can_reach_needs_allow(void **state)
{
	struct rig *r = *state;
	int given = tcp_socket("0.0.0.0", true), fd;

	strcpy(r->config.address, "systemd:a");
	assert_int_equal(open_saying(r, given, -1, "allow"), -EINVAL);
	strcpy(r->config.allow, "10.0.0.0/8");
	fd = egd_listener_open(&r->config, given, -1);
	assert_true(fd >= 0);
	egd_listener_close(r->config.address, fd);
	close(given);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_unix_socket_of_a_previous_daemon_is_resumed_with_its_new_mode),
		TEST(a_unix_socket_of_another_path_is_not_resumed),
		TEST(a_tcp_socket_of_a_previous_daemon_is_resumed_at_its_address_only),
		TEST(an_address_that_is_taken_says_so),
		TEST(an_owner_can_be_a_user_a_group_or_both),
		TEST(a_socket_whose_owner_is_unknown_is_not_left_there),
		TEST(a_given_socket_is_copied_and_does_not_block),
		TEST(a_given_socket_must_be_there_and_listen),
		TEST(a_given_socket_that_all_can_reach_needs_allow),
	};

	return cmocka_run_group_tests_name("egd_listener", tests, NULL, NULL);
}
