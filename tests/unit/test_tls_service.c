/* SPDX-License-Identifier: MIT */
/* ekey-tls as a process: what comes out at the plaintext's end, and what strangers can have of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "egd/proxy.h"
#include "egd/tls/connections.h"
#include "lib/file.h"
#include "lib/priv/tls_channel.h"
#include "tests/unit/stopped_clock.h"
#include "tests/unit/tls_rig.h"

#define PATIENCE_MS 20000
#define SECTION "listen wan"
#define AT_ONCE_CLIENT 4 /* as in egd/tls/connections.c ... */
#define AT_ONCE 8
#define WAITING_MANY 128
#define WAITING_MAX 256

/* A client of it, and what the daemon has. */
struct pair {
	int net, plain;
	struct tls *tls;
};

static const char *
keys(void)
{
	return tls_rig_write("service.psk", "alice:" TLS_RIG_KEY "\n");
}

static int
begin(void)
{
	const struct tls_config config = {.server = true, .psk = keys()};
	int channel = tls_rig_service();

	assert_true(tls_rig_load(channel, SECTION, &config));
	return channel;
}

/* A connection that has sent nothing yet. */
static struct pair
hand_over(int channel, uint64_t client)
{
	const struct tls_order order = {.kind = TLS_ACCEPT, .section = SECTION, .client = client};
	struct pair pair = {.plain = -EAGAIN};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	for (int i = 0; i < PATIENCE_MS && pair.plain == -EAGAIN; i++) {
		struct pollfd room = {.fd = channel, .events = POLLOUT};

		poll(&room, 1, PATIENCE_MS);
		pair.plain = tls_channel_pass(channel, &order, ends[1]);
	}
	assert_true(pair.plain >= 0);
	close(ends[1]);
	pair.net = ends[0];
	return pair;
}

static bool
is_readable(int fd, int wait_ms)
{
	struct pollfd at = {.fd = fd, .events = POLLIN};

	return poll(&at, 1, wait_ms) == 1;
}

/* A client with this key, and its first message. */
static void
say_hello(struct pair *pair, const char *psk)
{
	const struct tls_config config = {.psk = psk};
	char error[TLS_ERROR_MAX];
	struct tls_context *context = tls_context_new(&config, error);

	assert_non_null(context);
	pair->tls = tls_new(context, pair->net);
	tls_context_free(&context);
	(void)tls_handshake(pair->tls); /* it may be answered already */
}

/* One that sends its first message and no more. */
static void
say_hello_and_no_more(const struct pair *pair)
{
	struct pair elsewhere = {.plain = -1};
	uint8_t hello[4096];
	ssize_t n;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	elsewhere.net = ends[0];
	say_hello(&elsewhere, keys());
	n = read(ends[1], hello, sizeof(hello));
	assert_true(n > 0);
	assert_int_equal(write(pair->net, hello, (size_t)n), n);
	tls_free(&elsewhere.tls);
	close(ends[0]);
	close(ends[1]);
}

static void
finish_handshake(struct pair *pair)
{
	int result;

	while ((result = tls_handshake(pair->tls)) == TLS_WANT_READ)
		assert_true(is_readable(pair->net, PATIENCE_MS));
	assert_int_equal(result, 0);
}

static struct egd_proxy
header_of(const struct pair *pair)
{
	uint8_t bytes[EGD_PROXY_MAX];
	struct egd_proxy proxy = {0};
	struct cursor in;
	ssize_t n;

	assert_true(is_readable(pair->plain, PATIENCE_MS));
	n = recv(pair->plain, bytes, sizeof(bytes), MSG_PEEK);
	assert_true(n > 0);
	in = cursor_over(bytes, (size_t)n);
	assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_WHOLE);
	assert_int_equal(recv(pair->plain, bytes, (size_t)n - in.left, 0), n - (ssize_t)in.left);
	return proxy;
}

static void
finish(struct pair *pair)
{
	tls_free(&pair->tls);
	close(pair->net);
	close(pair->plain);
}

static void
the_identity_comes_first_and_then_what_the_client_says(void **state)
{
	int channel = begin();
	struct pair pair = hand_over(channel, 1);
	uint8_t bytes[16];

	(void)state;
	say_hello(&pair, keys());
	finish_handshake(&pair);
	assert_int_equal(tls_write(pair.tls, (const uint8_t *)"ask", 3), 3);
	assert_string_equal(header_of(&pair).identity, "psk:alice");
	assert_true(is_readable(pair.plain, PATIENCE_MS));
	assert_int_equal(read(pair.plain, bytes, sizeof(bytes)), 3);
	assert_int_equal(write(pair.plain, "answer", 6), 6);
	assert_true(is_readable(pair.net, PATIENCE_MS));
	assert_int_equal(tls_read(pair.tls, bytes, sizeof(bytes)), 6);
	finish(&pair);
	close(channel);
}

static void
why_there_is_no_tls_comes_in_words_and_then_the_end(void **state)
{
	const char *other = tls_rig_write("other.psk", "alice:" TLS_RIG_OTHER_KEY "\n");
	int channel = begin();
	struct pair pair = hand_over(channel, 1);
	struct egd_proxy proxy;
	uint8_t byte;

	(void)state;
	say_hello(&pair, other);
	proxy = header_of(&pair);
	assert_string_equal(proxy.identity, "");
	assert_non_null(strstr(proxy.refusal, "its key is not that of identity \"alice\""));
	assert_true(is_readable(pair.plain, PATIENCE_MS));
	assert_int_equal(read(pair.plain, &byte, 1), 0);
	finish(&pair);
	close(channel);
}

/* Its fifth handshake came before the other's, which is through: it has not begun. */
static void
one_address_has_a_part_of_the_handshakes_until_it_is_silent(void **state)
{
	struct pair one[AT_ONCE_CLIENT + 1], other;
	int channel = begin();

	(void)state;
	for (size_t i = 0; i <= AT_ONCE_CLIENT; i++) {
		one[i] = hand_over(channel, 1);
		if (i < AT_ONCE_CLIENT)
			say_hello_and_no_more(&one[i]);
		else
			say_hello(&one[i], keys());
	}
	other = hand_over(channel, 2);
	say_hello(&other, keys());
	finish_handshake(&other);
	for (size_t i = 0; i < AT_ONCE_CLIENT; i++)
		assert_true(is_readable(one[i].net, PATIENCE_MS));
	assert_false(is_readable(one[AT_ONCE_CLIENT].net, 0));
	finish_handshake(&one[AT_ONCE_CLIENT]); /* when the others have been silent for a second */
	assert_non_null(strstr(header_of(&one[0]).refusal, "silent in the TLS handshake"));
	for (size_t i = 0; i <= AT_ONCE_CLIENT; i++)
		finish(&one[i]);
	finish(&other);
	close(channel);
}

/* Those that were told so, as far as they have been by now. */
static size_t
count_dropped(const struct pair *pairs, size_t from, size_t to)
{
	size_t dropped = 0;

	for (size_t i = from; i < to; i++)
		dropped += is_readable(pairs[i].plain, 0);
	return dropped;
}

static void
those_that_wait_are_dropped_at_random_before_there_are_too_many(void **state)
{
	enum { COUNT = WAITING_MAX + WAITING_MANY };
	static struct pair pairs[COUNT + 1];
	int channel = begin();
	size_t dropped;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		pairs[i] = hand_over(channel, i < WAITING_MANY / 2 ? 1 : i);
	/* One more of who has many is always dropped: it is awaited, and all before are decided. */
	pairs[COUNT] = hand_over(channel, 1);
	assert_non_null(strstr(header_of(&pairs[COUNT]).refusal, "too many TLS handshakes"));
	assert_int_equal(count_dropped(pairs, 0, WAITING_MANY), 0);
	dropped = count_dropped(pairs, WAITING_MANY, COUNT);
	assert_in_range(dropped, COUNT - WAITING_MAX, COUNT - WAITING_MANY - 1);
	for (size_t i = 0; i <= COUNT; i++)
		finish(&pairs[i]);
	close(channel);
}

static void
nothing_but_a_good_message_is_an_order(void **state)
{
	int channel = begin();
	char byte;

	(void)state;
	assert_int_equal(send(channel, "nonsense", 8, 0), 8);
	assert_true(is_readable(channel, PATIENCE_MS));
	assert_int_equal(recv(channel, &byte, 1, 0), 0);
	close(channel);
}

/* ---- what it gives up ---- */

static char inside[TLS_PATH_MAX];

static int
open_inside(void)
{
	return open(inside, O_RDONLY) >= 0 ? 0 : errno;
}

static int
write_inside(void)
{
	return open(inside, O_WRONLY) >= 0 ? 0 : errno;
}

static int
open_elsewhere(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno;
}

static int
make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int
connect_again(void)
{
	return connect(0, &(struct sockaddr){.sa_family = AF_UNSPEC}, 2) == 0 ? 0 : errno;
}

static int
execute(void)
{
	char *none[] = {NULL};

	return execve("/proc/self/exe", none, none) == 0 ? 0 : errno;
}

static int
outcome_in_ekey_tls(int (*act)(void))
{
	struct sections *s = calloc(1, sizeof(*s));
	pid_t child;
	int status;

	file_directory(inside, s->directories[0], TLS_PATH_MAX);
	child = fork();
	if (child == 0)
		_exit(sections_seal(s) ? act() : 255);
	free(s);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
it_reads_the_directories_of_its_keys_and_nothing_else(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0) {
		print_message("missing: a kernel with Landlock\n");
		skip();
	}
	snprintf(inside, sizeof(inside), "%s", keys());
	assert_int_equal(outcome_in_ekey_tls(open_inside), 0);
	assert_int_not_equal(outcome_in_ekey_tls(write_inside), 0);
	assert_int_equal(outcome_in_ekey_tls(open_elsewhere), EACCES);
}

static void
it_makes_no_socket_and_no_process(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	print_message("missing: a build without sanitizers, which has no filter\n");
	skip();
#endif
	snprintf(inside, sizeof(inside), "%s", keys());
	assert_int_equal(outcome_in_ekey_tls(make_socket), EPERM);
	assert_int_equal(outcome_in_ekey_tls(connect_again), EPERM);
	assert_int_equal(outcome_in_ekey_tls(execute), EPERM);
}

/* ---- turns; without a process ---- */

static struct pair
hand_over_here(struct connections *all, struct section *section, uint64_t client)
{
	struct tls_order order = {.kind = TLS_ACCEPT, .section = SECTION, .client = client};
	int net[2], plain[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, net), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, plain), 0);
	connections_take(all, section, &order, (int[2]){net[1], plain[1]});
	return (struct pair){.net = net[0], .plain = plain[0]};
}

static size_t
count_answered(const struct pair pairs[static AT_ONCE])
{
	size_t answered = 0;

	for (size_t i = 0; i < AT_ONCE; i++)
		answered += is_readable(pairs[i].net, 0);
	return answered;
}

/* The most handshakes that were answered in one pass of the loop, of as many as may be at once. */
static size_t
most_in_a_pass(uint64_t look_ms)
{
	const struct tls_config config = {.server = true, .psk = keys()};
	struct section section = {.keys = {.server = true}};
	struct event_base *base = event_base_new();
	struct connections all;
	char error[TLS_ERROR_MAX];
	struct pair pairs[AT_ONCE];
	size_t most = 0;

	section.context = tls_context_new(&config, error);
	assert_true(section.context != NULL && connections_init(&all, base));
	for (size_t i = 0; i < AT_ONCE; i++) {
		pairs[i] = hand_over_here(&all, &section, i);
		say_hello_and_no_more(&pairs[i]);
	}
	stopped_clock_begin(NULL);
	stopped_clock_look(look_ms);
	for (size_t was = 0, now, passes = 0; was < AT_ONCE; was = now) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		now = count_answered(pairs);
		most = now - was > most ? now - was : most;
		assert_true(passes++ < 1000);
	}
	for (size_t i = 0; i < AT_ONCE; i++)
		finish(&pairs[i]);
	connections_finish(&all);
	tls_context_free(&section.context);
	event_base_free(base);
	return most;
}

/* With 3 ms for each look the second of a pass begins before its 5 ms are over, and no third. */
static void
handshakes_end_their_turn_after_5_ms(void **state)
{
	(void)state;
	assert_int_equal(most_in_a_pass(0), AT_ONCE);
	assert_in_range(most_in_a_pass(3), 1, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_identity_comes_first_and_then_what_the_client_says),
		cmocka_unit_test(why_there_is_no_tls_comes_in_words_and_then_the_end),
		cmocka_unit_test(one_address_has_a_part_of_the_handshakes_until_it_is_silent),
		cmocka_unit_test(those_that_wait_are_dropped_at_random_before_there_are_too_many),
		cmocka_unit_test(nothing_but_a_good_message_is_an_order),
		cmocka_unit_test(it_reads_the_directories_of_its_keys_and_nothing_else),
		cmocka_unit_test(it_makes_no_socket_and_no_process),
		cmocka_unit_test(handshakes_end_their_turn_after_5_ms), /* stops the clock */
	};

	return cmocka_run_group_tests_name("tls_service", tests, tls_rig_begin, tls_rig_end);
}
