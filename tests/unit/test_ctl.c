/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/client.h"
#include "daemon/ctl/protocol.h"
#include "daemon/ctl/server.h"
#include "lib/net.h"
#include "tests/unit/folder.h"
#include "tests/unit/stopped_clock.h"

#define GREETING "PROTOCOL EKEYD/1\n"
#define CLIENTS_MAX 32 /* as the server's */

/* A server and its loop in a directory of their own; clients are plain sockets here. */
struct place {
	char dir[FOLDER_MAX], path[FOLDER_MAX + 16];
	struct event_base *base;
	struct ctl_server *server;
	unsigned asked;  /* times that "Rows" ran */
	uint64_t ticket; /* of the last "Later" */
	uint64_t gone;   /* the last ticket whose client left */
};

static const char *
run_rows(void *arg, const struct ctl_request *request)
{
	struct place *p = arg;

	p->asked++;
	evbuffer_add_printf(request->out, "*\ta\t%u\n*\tb\n", p->asked);
	return NULL;
}

static const char *
run_fail(void *arg, const struct ctl_request *request)
{
	(void)arg, (void)request;
	return "no luck";
}

static const char *
run_echo(void *arg, const struct ctl_request *request)
{
	(void)arg;
	evbuffer_add_printf(request->out, "*\t[%s]\n", request->words);
	return NULL;
}

static const char *
run_later(void *arg, const struct ctl_request *request)
{
	struct place *p = arg;

	p->ticket = request->ticket;
	return ctl_later;
}

static void
note_gone(void *arg, uint64_t ticket)
{
	struct place *p = arg;

	p->gone = ticket;
}

static const struct ctl_command commands[] = {
	{.name = "Rows", .run = run_rows},
	{.name = "Fail", .run = run_fail},
	{.name = "Echo", .words = true, .run = run_echo},
	{.name = "Later", .run = run_later, .gone = note_gone},
	{.name = "Admin", .admin = true, .words = true, .run = run_echo},
	{.name = "Secret", .secret = true, .run = run_rows},
	{.name = "SecretLater", .secret = true, .run = run_later},
	{.name = NULL},
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!folder_make(p->dir))
		return -1;
	stopped_clock_begin(NULL);
	sprintf(p->path, "%s/control", p->dir);
	p->base = event_base_new();
	*state = p;
	return ctl_server_new(p->base, p->path, 0600, commands, p, &p->server);
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	ctl_server_free(&p->server);
	event_base_free(p->base);
	unlink(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

/* All that is ready is done: a Unix socket in the same process needs no waiting. */
static void
turn(struct place *p)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(p->base, EVLOOP_NONBLOCK);
}

static int
join(struct place *p)
{
	int fd = net_unix_connect(p->path);

	assert_true(fd >= 0);
	turn(p);
	return fd;
}

static void
say(struct place *p, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(p);
}

/* What has come, up to a buffer full; *ret_ended: that is all, and the server has closed. */
static const char *
hear(struct place *p, int fd, bool *ret_ended)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n = 1;

	turn(p);
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	*ret_ended = n == 0 || (n < 0 && errno != EAGAIN);
	return text;
}

static void
check_talk(struct place *p, const char *said, const char *heard, bool ended)
{
	int fd = join(p);
	bool has_ended;

	say(p, fd, said);
	assert_string_equal(hear(p, fd, &has_ended), heard);
	assert_int_equal(has_ended, ended);
	close(fd);
	turn(p);
}

static void
greets_before_it_is_asked(void **state)
{
	check_talk(*state, "", GREETING, false);
}

static void
answers_with_rows_and_ok(void **state)
{
	check_talk(*state, "Rows\n", GREETING "*\ta\t1\n*\tb\nOK\n", false);
}

static void
reports_an_error_and_goes_on(void **state)
{
	check_talk(*state, "Fail\nRows\n", GREETING "ERROR no luck\n*\ta\t1\n*\tb\nOK\n", false);
}

static void
commands_are_exact_words(void **state)
{
	static const char *const wrong[] = {"rows",  "ROWS", "Rows ",     " Rows",   "Row",
					    "Rowss", "",     "Rows Rows", "Shutdown"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char line[32];

		sprintf(line, "%s\n", wrong[i]);
		check_talk(*state, line, GREETING "ERROR unknown command\n", false);
	}
}

static void
words_follow_only_where_they_may(void **state)
{
	check_talk(*state, "Echo\nEcho a\nEcho  b c\nEchoa\n",
		   GREETING "*\t[]\nOK\n*\t[a]\nOK\n*\t[ b c]\nOK\nERROR unknown command\n", false);
}

static void
answer_that_comes_later_holds_up_the_lines_behind_it(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	say(p, fd, "Later\nRows\nLater\n");
	assert_string_equal(hear(p, fd, &ended), GREETING);
	ctl_reply(p->server, p->ticket, "row", NULL);
	assert_string_equal(hear(p, fd, &ended), "*\trow\nOK\n*\ta\t1\n*\tb\nOK\n");
	ctl_reply(p->server, p->ticket, NULL, "no");
	ctl_reply(p->server, p->ticket, NULL, "twice");
	assert_string_equal(hear(p, fd, &ended), "ERROR no\n");
	close(fd);
}

/* One turn of the loop takes the lines, and sends nothing yet. */
static void
secret_answers_that_have_not_left_are_dropped(void **state)
{
	static const char lines[] = "Rows\nSecret\nRows\n";
	struct place *p = *state;
	int fd = join(p), other = join(p), waiting = join(p);
	bool ended;

	say(p, waiting, "SecretLater\n");
	assert_int_equal(send(fd, lines, strlen(lines), 0), strlen(lines));
	assert_int_equal(send(other, "Rows\n", 5, 0), 5);
	event_base_loop(p->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(p->asked, 3); /* and not the line behind the secret */
	assert_int_equal(ctl_server_drop_secrets(p->server), 1);
	assert_string_equal(hear(p, fd, &ended), GREETING);
	assert_true(ended);
	assert_non_null(strstr(hear(p, other, &ended), "OK\n"));
	assert_false(ended);
	ctl_reply(p->server, p->ticket, "row", NULL);
	assert_string_equal(hear(p, waiting, &ended), GREETING "*\trow\nOK\n");
	assert_int_equal(ctl_server_drop_secrets(p->server), 0);
	check_talk(p, "Secret\nRows\n", GREETING "*\ta\t4\n*\tb\nOK\n*\ta\t5\n*\tb\nOK\n", false);
	close(fd);
	close(other);
	close(waiting);
}

static void
client_that_closes_before_its_answer_harms_no_other(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	say(p, fd, "Later\n");
	shutdown(fd, SHUT_WR);
	turn(p);
	assert_int_equal(p->gone, 0);
	ctl_reply(p->server, p->ticket, NULL, NULL);
	assert_string_equal(hear(p, fd, &ended), GREETING "OK\n"); /* half-closed: it waits */
	assert_true(ended);
	close(fd);
	fd = join(p);
	say(p, fd, "Later\n");
	close(fd);
	turn(p);
	assert_int_equal(p->gone, p->ticket);
	ctl_reply(p->server, p->ticket, NULL, NULL);
	check_talk(p, "Fail\n", GREETING "ERROR no luck\n", false);
}

/* A client that sends no command has 300 s. */
static void
client_is_not_idle_while_its_answer_is_late(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	say(p, fd, "Later\n");
	stopped_clock_advance(300000);
	turn(p);
	ctl_reply(p->server, p->ticket, NULL, NULL);
	assert_string_equal(hear(p, fd, &ended), GREETING "OK\n");
	say(p, fd, "Fail\n");
	assert_string_equal(hear(p, fd, &ended), "ERROR no luck\n");
	stopped_clock_advance(299000);
	assert_string_equal(hear(p, fd, &ended), "");
	assert_false(ended);
	stopped_clock_advance(1000);
	assert_string_equal(hear(p, fd, &ended), "");
	assert_true(ended);
	close(fd);
}

static void
admin_commands_are_for_root_and_the_daemons_user(void **state)
{
	struct place *p = *state;
	bool ended;
	int fd;

	check_talk(p, "Admin x\n", GREETING "*\t[x]\nOK\n", false);
	if (geteuid() != 0)
		skip(); /* only root can become another user */
	assert_int_equal(chmod(p->dir, 0755), 0);
	ctl_server_free(&p->server);
	assert_int_equal(ctl_server_new(p->base, p->path, 0666, commands, p, &p->server), 0);
	assert_int_equal(seteuid(65534), 0);
	fd = net_unix_connect(p->path);
	assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	say(p, fd, "Admin x\nEcho y\n");
	assert_string_equal(hear(p, fd, &ended),
			    GREETING "ERROR only root and the daemon's user may do this\n"
				     "*\t[y]\nOK\n");
	close(fd);
}

static void
bye_closes_the_connection(void **state)
{
	check_talk(*state, "Rows\nBye\nRows\n", GREETING "*\ta\t1\n*\tb\nOK\nOK Good bye\n", true);
}

static void
line_ends_may_have_a_carriage_return(void **state)
{
	check_talk(*state, "Rows\r\nBye\r\n", GREETING "*\ta\t1\n*\tb\nOK\nOK Good bye\n", true);
}

static void
byte_by_byte_is_all_at_once(void **state)
{
	const char *text = "Rows\nFail\nBye\n";
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	for (; *text != '\0'; text++)
		say(p, fd, (const char[]){*text, '\0'});
	assert_string_equal(hear(p, fd, &ended),
			    GREETING "*\ta\t1\n*\tb\nOK\nERROR no luck\nOK Good bye\n");
	assert_true(ended);
	close(fd);
}

static void
half_closed_client_gets_its_answers(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	assert_int_equal(send(fd, "Rows\nFail\nno end", 16, 0), 16);
	shutdown(fd, SHUT_WR);
	assert_string_equal(hear(p, fd, &ended), GREETING "*\ta\t1\n*\tb\nOK\nERROR no luck\n");
	assert_true(ended);
	close(fd);
}

static void
endless_line_is_refused(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	char line[CTL_LINE_MAX];
	bool ended;

	memset(line, 'x', sizeof(line));
	assert_int_equal(send(fd, line, sizeof(line), 0), sizeof(line));
	assert_string_equal(hear(p, fd, &ended), GREETING "ERROR line too long\n");
	assert_true(ended);
	close(fd);
}

static void
longest_line_is_read(void **state)
{
	char line[CTL_LINE_MAX + 1];

	memset(line, 'x', sizeof(line));
	strcpy(line + CTL_LINE_MAX - 1, "\n");
	check_talk(*state, line, GREETING "ERROR unknown command\n", false);
}

/* Sends as long as the server takes it; returns the whole lines that went. */
static unsigned
flood(struct place *p, int fd)
{
	static const char lines[] = "Rows\nRows\nRows\nRows\n";
	size_t sent = 0;
	ssize_t n;

	while ((n = send(fd, lines, sizeof(lines) - 1, MSG_NOSIGNAL)) == sizeof(lines) - 1) {
		sent += (size_t)n;
		turn(p);
		assert_true(sent < 10000000);
	}
	return (unsigned)((sent + (n > 0 ? (size_t)n : 0)) / strlen("Rows\n"));
}

static void
client_that_does_not_read_stops_being_read_and_loses_nothing(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	unsigned sent = flood(p, fd), answers = 0;
	bool ended;

	assert_true(p->asked < sent);
	shutdown(fd, SHUT_WR);
	do {
		for (const char *at = hear(p, fd, &ended); (at = strchr(at, 'K')) != NULL; at++)
			answers++;
	} while (!ended);
	assert_int_equal(p->asked, sent);
	assert_int_equal(answers, sent + 1); /* the greeting has a K too */
	close(fd);
}

static void
too_many_clients_are_refused_until_one_closes(void **state)
{
	struct place *p = *state;
	int fds[CLIENTS_MAX], more;
	bool ended;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = join(p);
		assert_string_equal(hear(p, fds[i], &ended), GREETING);
	}
	more = join(p);
	assert_string_equal(hear(p, more, &ended), "");
	assert_true(ended);
	close(more);
	close(fds[0]);
	turn(p);
	check_talk(p, "Rows\n", GREETING "*\ta\t1\n*\tb\nOK\n", false);
	for (int i = 1; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

/* One turn of the loop refuses some of the excess clients, then serves other events. */
static void
storm_of_clients_leaves_the_loop_to_others(void **state)
{
	struct place *p = *state;
	int fds[3 * CLIENTS_MAX], greeted = 0;
	char byte;

	for (size_t i = 0; i < 3 * CLIENTS_MAX; i++)
		assert_true((fds[i] = net_unix_connect(p->path)) >= 0);
	event_base_loop(p->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(recv(fds[3 * CLIENTS_MAX - 1], &byte, 1, MSG_DONTWAIT), -1);
	turn(p);
	for (size_t i = 0; i < 3 * CLIENTS_MAX; i++)
		greeted += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 1;
	assert_int_equal(greeted, CLIENTS_MAX);
	assert_int_equal(recv(fds[3 * CLIENTS_MAX - 1], &byte, 1, MSG_DONTWAIT), 0);
	for (size_t i = 0; i < 3 * CLIENTS_MAX; i++)
		close(fds[i]);
}

static void
client_that_vanishes_in_a_command_harms_no_other(void **state)
{
	struct place *p = *state;
	int fd = net_unix_connect(p->path);

	assert_int_equal(send(fd, "Rows\nRow", 8, 0), 8);
	close(fd);
	turn(p);
	check_talk(p, "Fail\n", GREETING "ERROR no luck\n", false);
}

static void
socket_has_its_mode_and_goes_with_the_server(void **state)
{
	struct place *p = *state;
	struct stat st;

	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ctl_server_free(&p->server);
	assert_null(p->server);
	assert_int_equal(stat(p->path, &st), -1);
}

static void
second_server_is_refused_and_the_first_lives_on(void **state)
{
	struct place *p = *state;
	struct ctl_server *second = NULL;

	assert_int_equal(ctl_server_new(p->base, p->path, 0600, commands, p, &second), -EADDRINUSE);
	assert_null(second);
	turn(p);
	check_talk(p, "Fail\n", GREETING "ERROR no luck\n", false);
}

static void
freeing_with_clients_closes_them(void **state)
{
	struct place *p = *state;
	int fd = join(p);
	bool ended;

	ctl_server_free(&p->server);
	hear(p, fd, &ended);
	assert_true(ended);
	close(fd);
}

/* ---- the asking end ---- */

/* A daemon that answers each line with the test's text. */
struct canned {
	int listener;
	const char *greeting, *answer;
};

static void *
canned_serve(void *arg)
{
	struct canned *c = arg;
	struct pollfd ready = {.fd = c->listener, .events = POLLIN};
	char line[CTL_LINE_MAX];
	int fd;

	poll(&ready, 1, -1);
	fd = accept(c->listener, NULL, NULL);
	if (write(fd, c->greeting, strlen(c->greeting)) > 0 && read(fd, line, sizeof(line)) > 0 &&
	    write(fd, c->answer, strlen(c->answer)) < 0)
		perror("write");
	close(fd);
	return NULL;
}

static void
check_replies(struct place *p, const char *answer, const enum ctl_reply *replies, size_t count)
{
	struct canned canned = {.greeting = GREETING, .answer = answer};
	struct ctl_connection c;
	pthread_t thread;

	ctl_server_free(&p->server);
	canned.listener = net_unix_listen(p->path, 0600);
	assert_true(canned.listener >= 0);
	assert_int_equal(pthread_create(&thread, NULL, canned_serve, &canned), 0);
	assert_int_equal(ctl_open(&c, p->path), 0);
	assert_int_equal(ctl_send(&c, "Any"), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ctl_next(&c), replies[i]);
	ctl_close(&c);
	pthread_join(thread, NULL);
	close(canned.listener);
}

static void
replies_are_distinguished(void **state)
{
	static const enum ctl_reply good[] = {CTL_REPLY_ROW, CTL_REPLY_ROW, CTL_REPLY_OK};
	static const enum ctl_reply error[] = {CTL_REPLY_ERROR};
	static const enum ctl_reply cut[] = {CTL_REPLY_ROW, CTL_REPLY_BROKEN};
	static const enum ctl_reply odd[] = {CTL_REPLY_BROKEN};

	check_replies(*state, "*\ta\n*\tb\tc\nOK\n", good, 3);
	check_replies(*state, "*\t\n*\t\t\nOK Good bye\n", good, 3);
	check_replies(*state, "ERROR no luck\n", error, 1);
	check_replies(*state, "*\ta\n*\tb", cut, 2);
	check_replies(*state, "*\ta\n", cut, 2);
	check_replies(*state, "OKAY\n", odd, 1);
	check_replies(*state, "", odd, 1);
}

static void
other_servers_are_not_taken_for_ours(void **state)
{
	struct place *p = *state;
	struct canned canned = {.greeting = "220 mail.example ESMTP\r\n", .answer = ""};
	struct ctl_connection c;
	pthread_t thread;

	ctl_server_free(&p->server);
	assert_int_equal(ctl_open(&c, p->path), -ENOENT);
	canned.listener = net_unix_listen(p->path, 0600);
	assert_int_equal(pthread_create(&thread, NULL, canned_serve, &canned), 0);
	assert_int_equal(ctl_open(&c, p->path), -EPROTO);
	pthread_join(thread, NULL);
	close(canned.listener);
	assert_int_equal(ctl_open(&c, p->path), -ECONNREFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(greets_before_it_is_asked),
		TEST(answers_with_rows_and_ok),
		TEST(reports_an_error_and_goes_on),
		TEST(commands_are_exact_words),
		TEST(words_follow_only_where_they_may),
		TEST(answer_that_comes_later_holds_up_the_lines_behind_it),
		TEST(secret_answers_that_have_not_left_are_dropped),
		TEST(client_that_closes_before_its_answer_harms_no_other),
		TEST(client_is_not_idle_while_its_answer_is_late),
		TEST(admin_commands_are_for_root_and_the_daemons_user),
		TEST(bye_closes_the_connection),
		TEST(line_ends_may_have_a_carriage_return),
		TEST(byte_by_byte_is_all_at_once),
		TEST(half_closed_client_gets_its_answers),
		TEST(endless_line_is_refused),
		TEST(longest_line_is_read),
		TEST(client_that_does_not_read_stops_being_read_and_loses_nothing),
		TEST(too_many_clients_are_refused_until_one_closes),
		TEST(storm_of_clients_leaves_the_loop_to_others),
		TEST(client_that_vanishes_in_a_command_harms_no_other),
		TEST(socket_has_its_mode_and_goes_with_the_server),
		TEST(second_server_is_refused_and_the_first_lives_on),
		TEST(freeing_with_clients_closes_them),
		TEST(replies_are_distinguished),
		TEST(other_servers_are_not_taken_for_ours),
	};

	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
