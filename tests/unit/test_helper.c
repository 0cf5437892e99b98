/* SPDX-License-Identifier: MIT */
/* The mechanism of helpers, in a role of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/priv/helper.h"
#include "lib/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define PATIENCE_MS 20000
#define MARK_LEN 32
#define MARK_MASK 0xA5 /* the mark is sent so, that the request is none itself */

enum op { ECHO, HANG, REFUSE, OPEN_PIPE, OPEN_FILES, FIND_MARK, USE_SOCKET };

struct request {
	enum op op;
	uint32_t word;
	uint8_t masked_mark[MARK_LEN];
};

struct answer {
	uint32_t word;
};

/* ---- the helper ---- */

static bool
is_mark(const char *at, const uint8_t *masked)
{
	for (size_t i = 0; i < MARK_LEN; i++)
		if (((uint8_t)at[i] ^ MARK_MASK) != masked[i])
			return false;
	return true;
}

static unsigned
marks_between(const char *from, const char *to, const uint8_t *masked)
{
	unsigned found = 0;

	for (; from + MARK_LEN <= to; from++)
		found += is_mark(from, masked);
	return found;
}

/* In all memory of this process that can be written. */
static unsigned
marks(const uint8_t *masked)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], mode[8];
	unsigned found = 0;
	void *from, *to;

	if (maps == NULL)
		return 1;
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%p-%p %7s", &from, &to, mode) == 3 && strncmp(mode, "rw", 2) == 0)
			found += marks_between(from, to, masked);
	fclose(maps);
	return found;
}

static unsigned
open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int
prepare(const char *argument)
{
	return atoi(argument);
}

static bool
act(int prepared, const void *request_bytes, int fd, void *ret_answer, int *ret_fd)
{
	const struct request *request = request_bytes;
	struct answer *answer = ret_answer;

	switch (request->op) {
	case ECHO:
		answer->word = request->word + (uint32_t)prepared;
		return true;
	case HANG:
		for (;;)
			poll(NULL, 0, -1);
	case REFUSE:
		return false;
	case OPEN_PIPE:
		*ret_fd = fcntl(fd, F_DUPFD, 3);
		return true;
	case OPEN_FILES:
		answer->word = open_files();
		return true;
	case FIND_MARK:
		answer->word = marks(request->masked_mark);
		return true;
	case USE_SOCKET:
		answer->word = socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
		return true;
	}
	return false;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg"},  {.name = "sendmsg"}, {.name = "fcntl"},
	SANDBOX_OPEN_TO_READ, {.name = NULL},
};

static const struct helper_role role = {
	.name = "t-helper",
	.does = "what this test asks",
	.capability = HELPER_NO_CAPABILITY,
	.request_size = sizeof(struct request),
	.answer_size = sizeof(struct answer),
	.timeout_s = 1,
	.sandbox = {.calls = calls, .files_max = 16},
	.prepare = prepare,
	.act = act,
};

static const struct helper_role *const roles[] = {&role, NULL};

/* ---- the tests ---- */

static int
set_up(void **state)
{
	static struct helper helper;

	*state = &helper;
	return helper_start(&helper, &role, NULL, "5");
}

static int
tear_down(void **state)
{
	helper_stop(*state);
	while (waitpid(-1, NULL, 0) > 0)
		;
	helper_stop(*state); /* what was left of those that were released */
	return 0;
}

static void
need_no_sanitizer(const char *why)
{
	if (SANITIZED) {
		print_message("skipped: a build with a sanitizer %s\n", why);
		skip();
	}
}

static int
ask(struct helper *helper, enum op op, uint32_t *ret)
{
	const struct request request = {.op = op, .word = 7};
	struct answer answer;
	int result = helper_call(helper, &request, &answer, NULL);

	if (result == 0)
		*ret = answer.word;
	return result;
}

static void
assert_ends(struct helper *helper)
{
	struct pollfd one = {.fd = helper->fd, .events = POLLIN};
	struct answer answer;
	int fd;

	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
	assert_int_equal(helper_receive(helper, &answer, &fd), -EPIPE);
	assert_int_equal(fd, -1);
}

static void
each_request_has_one_answer_in_order(void **state)
{
	struct helper *helper = *state;
	struct answer answer;
	int fd;

	for (uint32_t i = 0; i < 8; i++) {
		const struct request request = {.op = ECHO, .word = i};

		assert_int_equal(helper_send(helper, &request, -1), 0);
	}
	for (uint32_t i = 0; i < 8; i++) {
		struct pollfd one = {.fd = helper->fd, .events = POLLIN};

		assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
		assert_int_equal(helper_receive(helper, &answer, &fd), 0);
		assert_int_equal(answer.word, i + 5);
	}
	assert_true(helper_is_idle(helper));
	assert_int_equal(helper_receive(helper, &answer, &fd), -EAGAIN);
}

static void
a_request_of_another_size_ends_it(void **state)
{
	static const size_t sizes[] = {0, 1, sizeof(struct request), sizeof(struct request) + 8};
	static const uint8_t zeros[64];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct helper helper;

		assert_int_equal(helper_start(&helper, &role, NULL, "5"), 0);
		assert_int_equal(send(helper.fd, zeros, sizes[i], 0), sizes[i]);
		assert_ends(&helper);
		helper_stop(&helper);
	}
}

static void
a_request_that_is_not_allowed_ends_it(void **state)
{
	const struct request request = {.op = REFUSE};

	assert_int_equal(helper_send(*state, &request, -1), 0);
	assert_ends(*state);
}

static void
an_answer_that_was_not_asked_for_is_none(void **state)
{
	struct helper *helper = *state;
	struct request request = {.op = ECHO};

	/* The number is the request's: one that was never counted. */
	struct {
		uint32_t number;
		struct request request;
	} forged = {9, request};

	assert_int_equal(send(helper->fd, &forged, sizeof(forged), 0), sizeof(forged));
	assert_ends(helper);
}

static void
one_that_takes_too_long_is_killed_and_can_be_started_anew(void **state)
{
	struct helper *helper = *state;
	uint32_t word;

	assert_int_equal(ask(helper, HANG, &word), -ETIMEDOUT);
	assert_int_equal(helper->fd, -1);
	assert_int_equal(helper_start(helper, &role, NULL, "5"), 0);
	assert_int_equal(ask(helper, ECHO, &word), 0);
	assert_int_equal(word, 12);
}

static void
it_has_no_file_but_its_socket_and_stderr(void **state)
{
	struct helper *helper = *state;
	uint32_t word;
	int low = open("/dev/null", O_RDONLY), high;

	high = fcntl(low, F_DUPFD, 300);
	assert_true(high >= 300);
	helper_stop(helper);
	assert_int_equal(helper_start(helper, &role, NULL, "5"), 0);
	close(low);
	close(high);
	assert_int_equal(ask(helper, OPEN_FILES, &word), 0);
	assert_int_equal(word, 3);
}

static void
it_has_no_copy_of_our_memory(void **state)
{
	struct helper *helper = *state;
	struct request request = {.op = FIND_MARK};
	uint8_t *mark;
	struct answer answer;

	need_no_sanitizer("has terabytes of shadow memory");
	mark = malloc(MARK_LEN);
	assert_non_null(mark);
	for (size_t i = 0; i < MARK_LEN; i++) {
		request.masked_mark[i] = (uint8_t)(37 * i + 11);
		mark[i] = request.masked_mark[i] ^ MARK_MASK;
	}
	assert_true(marks(request.masked_mark) > 0); /* the search finds it here */
	helper_stop(helper);
	assert_int_equal(helper_start(helper, &role, NULL, "5"), 0);
	assert_int_equal(helper_call(helper, &request, &answer, NULL), 0);
	assert_int_equal(answer.word, 0);
	secret_wipe(mark, MARK_LEN);
	free(mark);
}

static void
a_file_goes_with_a_request_and_with_an_answer(void **state)
{
	struct helper *helper = *state;
	const struct request request = {.op = OPEN_PIPE};
	struct pollfd one = {.fd = helper->fd, .events = POLLIN};
	struct answer answer;
	char byte = 0;
	int ends[2], fd;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(helper_send(helper, &request, ends[1]), 0);
	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
	assert_int_equal(helper_receive(helper, &answer, &fd), 0);
	assert_true(fd >= 0);
	close(ends[1]);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(read(ends[0], &byte, 1), 0); /* and it has kept none */
	close(ends[0]);
}

static void
signals_to_the_group_do_not_end_it(void **state)
{
	struct helper *helper = *state;
	uint32_t word;

	assert_int_equal(ask(helper, ECHO, &word), 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	assert_int_equal(kill(0, SIGTERM), 0);
	assert_int_equal(kill(0, SIGINT), 0);
	assert_int_equal(ask(helper, ECHO, &word), 0);
	assert_int_equal(word, 12);
}

static void
one_that_is_released_finishes_and_ends(void **state)
{
	struct helper *helper = *state;
	const struct request request = {.op = OPEN_PIPE};
	int ends[2];
	char byte;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(helper_send(helper, &request, ends[1]), 0);
	helper_release(helper);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* it has closed it */
	close(ends[0]);
	assert_true(waitpid(-1, NULL, 0) > 0);
}

static void
it_ends_when_its_socket_is_closed(void **state)
{
	struct helper *helper = *state;

	helper_release(helper);
	assert_true(waitpid(-1, NULL, 0) > 0);
}

/* The test of each sandbox is test_sandbox.c; here, that a helper is in one. */
static void
a_system_call_outside_its_role_ends_it(void **state)
{
	const struct request request = {.op = USE_SOCKET};

	need_no_sanitizer("has no filter");
	assert_int_equal(helper_send(*state, &request, -1), 0);
	assert_ends(*state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(each_request_has_one_answer_in_order),
		TEST(a_request_of_another_size_ends_it),
		TEST(a_request_that_is_not_allowed_ends_it),
		TEST(an_answer_that_was_not_asked_for_is_none),
		TEST(one_that_takes_too_long_is_killed_and_can_be_started_anew),
		TEST(it_has_no_file_but_its_socket_and_stderr),
		TEST(it_has_no_copy_of_our_memory),
		TEST(a_file_goes_with_a_request_and_with_an_answer),
		TEST(signals_to_the_group_do_not_end_it),
		TEST(one_that_is_released_finishes_and_ends),
		TEST(it_ends_when_its_socket_is_closed),
		TEST(a_system_call_outside_its_role_ends_it),
	};

	(void)argc;
	helper_main(roles, argv);
	setpgid(0, 0); /* signals to the group are for us alone */
	return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
