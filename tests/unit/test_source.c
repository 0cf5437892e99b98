/* SPDX-License-Identifier: MIT */
/* A source with its real session, intake and pool, on a socket whose other end is a device here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/ekey/pem64.h"
#include "backend/source.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/net.h"
#include "lib/secret.h"
#include "tests/unit/device.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_lines.h"

#define LIMIT_S 30 /* a test that waits for what never comes is ended by SIGALRM */
#define BLOCK DEVICE_BLOCK_LEN
#define POOL_SIZE POOL_SIZE_MIN
#define COMMAND_LEN 18    /* K or L, 16 characters, '.' */
#define MAC_COMMAND_LEN 9 /* M and 8 characters */

struct bench {
	char dir[FOLDER_MAX], path[FOLDER_MAX + 16];
	struct event_base *base;
	struct pool *pool;
	struct pool_handle handle;
	struct pool_account account;
	struct keyring *ring;
	const struct keyring *ring_seen;
	struct source *source;
	struct device device;
	int listener, fd; /* the device's; -1: not plugged in */
	char heard[COMMAND_LEN];
	size_t heard_len;
	bool refuses; /* to change its long-term key */
	enum rekey_state rekey_told[32];
	size_t rekey_told_len;
	uint64_t taken; /* blocks that came out of the pool, all in order */
};

/* ---- the device's end ---- */

static void
tell(struct bench *b, const uint8_t frame[FRAME_LEN])
{
	assert_int_equal(send(b->fd, frame, FRAME_LEN, MSG_NOSIGNAL), FRAME_LEN);
}

/* One command of the host: a reset, K with a nonce, M, or L. */
static void
obey(struct bench *b)
{
	uint8_t frame[FRAME_LEN], nonce[SESSION_NONCE_LEN];
	size_t len;

	if (b->heard[0] == 0x03) {
		device_reset(&b->device);
		device_serial(&b->device, frame);
		tell(b, frame);
		device_ask(&b->device, frame);
	} else if (b->heard[0] == 'M') {
		device_text(&b->device, 'M', "Long-term rekey unlocked", frame);
	} else if (b->heard[0] == 'L' && b->refuses) {
		device_text(&b->device, 'l', "Nonce MAC does not match", frame);
	} else if (b->heard[0] == 'L') {
		device_bytes(&b->device, 'L', 12, b->device.ltk, KEYED_SECRET_LEN, frame);
	} else {
		assert_true(pem64_decode(b->heard + 1, 16, sizeof(nonce), nonce, &len));
		device_answer(&b->device, nonce, len, frame);
	}
	tell(b, frame);
	b->heard_len = 0;
}

static void
listen_to_host(struct bench *b)
{
	while (b->fd >= 0 && read(b->fd, b->heard + b->heard_len, 1) == 1) {
		b->heard_len++;
		if (b->heard[0] == 0x03 || b->heard_len == COMMAND_LEN ||
		    (b->heard[0] == 'M' && b->heard_len == MAC_COMMAND_LEN))
			obey(b);
	}
}

static void
plug(struct bench *b)
{
	b->listener = net_unix_listen(b->path, 0600);
	assert_true(b->listener >= 0);
}

static void
unplug(struct bench *b)
{
	close(b->fd);
	close(b->listener);
	unlink(b->path);
	b->fd = b->listener = -1;
}

/* Sends blocks until `count` of them or the socket is full; returns how many went. */
static unsigned
give(struct bench *b, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct device before = b->device;
		uint8_t frame[FRAME_LEN];

		device_entropy(&b->device, frame);
		if (send(b->fd, frame, FRAME_LEN, MSG_NOSIGNAL) != FRAME_LEN) {
			b->device = before;
			return i;
		}
	}
	return count;
}

/* ---- the host's end ---- */

static struct source_status
status(const struct bench *b)
{
	struct source_status s;

	source_status(b->source, &s);
	return s;
}

/* One pass of everything; sockets in one process need no time. */
static void
turn(struct bench *b)
{
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	if (b->fd < 0 && b->listener >= 0)
		b->fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	listen_to_host(b);
}

static void
turn_until_state(struct bench *b, const char *state)
{
	while (strcmp(status(b).state, state) != 0)
		turn(b);
}

/* The connection is up, and its first block sent. */
static void
turn_until_keyed(struct bench *b)
{
	turn_until_state(b, session_state_text(SESSION_REKEYING));
	while (b->device.next_block == 0 || strcmp(status(b).state, "keyed") != 0) {
		uint64_t rekeys = status(b).ekey.session.rekeys;

		turn(b);
		if (status(b).ekey.session.rekeys > rekeys)
			assert_int_equal(give(b, 1), 1);
	}
}

static void
turn_until_blocks(struct bench *b, uint64_t blocks)
{
	while (status(b).ekey.session.blocks < blocks)
		turn(b);
}

static void
turn_until_paused(struct bench *b)
{
	while (!status(b).paused)
		turn(b);
}

/* Takes all that the pool has: the device's blocks, none missing, none twice. */
static void
take_in_order(struct bench *b)
{
	uint8_t block[BLOCK];

	while (pool_take(b->pool, &b->handle, block, BLOCK) == BLOCK)
		assert_int_equal(device_block_index(block), b->taken++);
}

static void
on_room(void *arg)
{
	struct bench *b = arg;

	source_room(b->source);
}

static void
on_wanted(void *arg)
{
	struct bench *b = arg;

	source_wanted(b->source);
}

static void
start_source(struct bench *b)
{
	const struct source_env env = {.base = b->base,
				       .pool = b->pool,
				       .keyring = &b->ring_seen,
				       .keyring_path = "/etc/keyring"};
	/* The blocks are made to be recognised, not to be random: h as low as it goes. */
	struct source_config config = {.name = "test", .h = HEALTH_H_MIN};

	sprintf(config.address, "unix:%s", b->path);
	b->source = source_new(&env, &config);
	assert_non_null(b->source);
}

static int
set_up(void **state)
{
	const struct pool_config config = {.size = POOL_SIZE, .max_handles = 4, .max_waiters = 4};
	const struct pool_client client = {.weight = 1};
	struct bench *b = calloc(1, sizeof(*b));

	alarm(LIMIT_S);
	if (!folder_make(b->dir))
		return -1;
	sprintf(b->path, "%s/key", b->dir);
	b->base = event_base_new();
	b->pool = pool_new(&config);
	pool_on_room(b->pool, on_room, b);
	pool_on_wanted(b->pool, on_wanted, b);
	pool_handle_open(b->pool, &b->handle, &b->account, &client);
	device_init(&b->device);
	b->ring = secret_new(sizeof(*b->ring));
	b->ring->len = 1;
	memcpy(b->ring->entries[0].serial, b->device.serial, KEYED_SERIAL_LEN);
	memcpy(b->ring->entries[0].ltk, b->device.ltk, KEYED_SECRET_LEN);
	b->ring_seen = b->ring;
	b->fd = b->listener = -1;
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	source_free(&b->source);
	pool_handle_close(b->pool, &b->handle);
	pool_free(&b->pool);
	event_base_free(b->base);
	secret_free(b->ring, sizeof(*b->ring));
	unplug(b);
	rmdir(b->dir);
	free(b);
	alarm(0);
	return 0;
}

/* ---- promises ---- */

static void
blocks_arrive_in_the_pool_whole_and_in_order(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	assert_int_equal(give(b, 99), 99);
	turn_until_blocks(b, 100);
	take_in_order(b);
	assert_int_equal(b->taken, 100);
	assert_string_equal(status(b).ekey.serial, "NwBvBlg3OTBJORFD");
	assert_int_equal(status(b).intake.in, 100 * BLOCK);
	assert_int_equal(status(b).intake.pooled, 100 * BLOCK);
}

static int
unread_by_host(const struct bench *b)
{
	int bytes;

	assert_int_equal(ioctl(b->fd, SIOCOUTQ, &bytes), 0);
	return bytes;
}

static void
full_pool_stops_the_reading_and_all_timers(void **state)
{
	struct bench *b = *state;
	int unread;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	give(b, 100000); /* until the socket is full */
	turn_until_paused(b);
	assert_int_equal(pool_room(b->pool), 0);
	give(b, 100000);
	unread = unread_by_host(b);
	assert_true(unread > 0);
	for (int i = 0; i < 100; i++)
		turn(b);
	assert_int_equal(unread_by_host(b), unread);
	assert_true(status(b).ekey.undecoded_bytes > 0);
	/* What is left is the watch for its removal: nothing that fires by itself. */
	assert_int_equal(event_base_get_num_events(b->base, EVENT_BASE_COUNT_ADDED), 1);
	assert_int_equal(event_base_get_num_events(b->base, EVENT_BASE_COUNT_ACTIVE), 0);
}

static void
bytes_read_before_the_pause_are_decoded_after_it(void **state)
{
	const unsigned more = 10; /* blocks than the pool holds */
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	turn_until_blocks(b, 1);
	assert_int_equal(give(b, POOL_SIZE / BLOCK - 1 + more), POOL_SIZE / BLOCK - 1 + more);
	turn_until_paused(b);
	assert_int_equal(unread_by_host(b), 0);
	assert_int_equal(status(b).ekey.undecoded_bytes, more * FRAME_LEN);
	take_in_order(b);
	turn_until_blocks(b, POOL_SIZE / BLOCK + more);
	take_in_order(b);
	assert_int_equal(b->taken, POOL_SIZE / BLOCK + more);
}

static void
nothing_is_lost_between_pauses(void **state)
{
	const unsigned total = 4000; /* fifteen pools full, within one session */
	struct bench *b = *state;
	unsigned given = 1, pauses = 0;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	while (b->taken < total) {
		bool paused = status(b).paused;

		given += give(b, total - given);
		turn(b);
		pauses += status(b).paused && !paused;
		if (status(b).paused || given == total)
			take_in_order(b);
	}
	assert_true(pauses > 5);
	assert_int_equal(status(b).intake.in, total * BLOCK);
	assert_int_equal(status(b).intake.rejected, 0);
	assert_int_equal(status(b).ekey.undecoded_bytes, 0);
}

static void
removal_is_noticed_while_nothing_is_read(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	give(b, 1000);
	turn_until_paused(b);
	unplug(b);
	while (status(b).connected)
		turn(b);
	assert_false(status(b).paused);
	assert_int_equal(status(b).ekey.undecoded_bytes, 0);
	take_in_order(b); /* what is in the pool stays there */
	assert_int_equal(b->taken, POOL_SIZE / BLOCK);
}

static void
key_is_greeted_while_the_pool_is_full(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	give(b, 1000);
	turn_until_paused(b);
	unplug(b);
	while (status(b).connected)
		turn(b);
	plug(b);
	while (status(b).connects < 2)
		turn(b);
	turn_until_keyed(b);
	assert_int_equal(pool_room(b->pool), 0);
	assert_int_equal(status(b).intake.rejected, 0);
}

static void
absent_device_is_waited_for_and_taken_when_it_comes(void **state)
{
	struct bench *b = *state;

	start_source(b);
	while (strstr(status(b).state, "No such file or directory") == NULL)
		turn(b);
	assert_false(status(b).connected);
	plug(b);
	turn_until_keyed(b);
	assert_int_equal(status(b).connects, 1);
}

static void
device_that_went_is_taken_again(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	for (unsigned times = 1; times <= 3; times++) {
		while (status(b).connects < times)
			turn(b);
		turn_until_keyed(b);
		unplug(b);
		while (status(b).connected)
			turn(b);
		assert_string_equal(status(b).ekey.serial, "NwBvBlg3OTBJORFD");
		plug(b);
	}
	assert_int_equal(status(b).intake.in, status(b).intake.pooled + status(b).intake.rejected +
						      status(b).intake.held);
}

static void
garbage_between_frames_costs_no_frame(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(send(b->fd, "\0\xff* E!\r\n*", 9, MSG_NOSIGNAL), 9);
		assert_int_equal(give(b, 1), 1);
		if (i % 20 == 19)
			turn_until_blocks(b, (uint64_t)i + 2);
	}
	turn_until_blocks(b, 201);
	take_in_order(b);
	assert_int_equal(b->taken, 201);
	assert_int_equal(status(b).connects, 1);
	assert_int_equal(status(b).ekey.session.resets, 1);
}

#define REST_MS 100 /* as in ekey.c */

static void
trickle_is_read_in_batches_while_nobody_waits(void **state)
{
	struct bench *b = *state;
	uint64_t started_ms, passes = 0;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	turn_until_blocks(b, 1);
	started_ms = clock_now_ms();
	for (int i = 0; i < 100; i++) {
		uint64_t blocks = status(b).ekey.session.blocks;

		assert_int_equal(give(b, 1), 1);
		turn(b);
		passes += status(b).ekey.session.blocks > blocks;
	}
	assert_in_range(passes, 0, (clock_now_ms() - started_ms) / REST_MS + 2);
	turn_until_blocks(b, 101);
}

static void
note_ready(struct pool_waiter *waiter, void *arg)
{
	*(struct pool_waiter **)arg = waiter;
}

static void
who_waits_is_served_without_a_rest(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready = NULL;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	assert_int_equal(give(b, 99), 99);
	turn_until_blocks(b, 100);
	take_in_order(b);
	for (int i = 0; i < 100; i++, ready = NULL) {
		assert_non_null(pool_wait(b->pool, &b->handle, BLOCK, note_ready, &ready));
		assert_int_equal(give(b, 1), 1);
		turn(b);
		turn(b); /* the first may have been under way */
		assert_non_null(ready);
		pool_waiter_done(b->pool, ready, true);
	}
}

static void
unknown_key_is_a_state_until_the_keyring_has_it(void **state)
{
	struct bench *b = *state;

	int before = log_lines_begin();

	log_set_level(LOG_LEVEL_INFO);
	b->ring->len = 0;
	plug(b);
	start_source(b);
	turn_until_state(b, session_state_text(SESSION_UNKNOWN_KEY));
	assert_int_equal(log_lines_count("its long-term key is not in the keyring /etc/keyring: "),
			 1);
	log_lines_end(before);
	log_set_level(LOG_LEVEL_ERR);
	b->ring->len = 1;
	source_keyring_changed(b->source);
	/* The device asks about once a second. */
	turn_until_state(b, session_state_text(SESSION_IDENTIFIED));
	{
		uint8_t frame[FRAME_LEN];

		device_ask(&b->device, frame);
		tell(b, frame);
	}
	turn_until_keyed(b);
}

static void
bad_word_of_the_key_quarantines_it(void **state)
{
	struct bench *b = *state;
	uint8_t frame[FRAME_LEN];

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	device_text(&b->device, 'I', "S8052:294:295:292:7112:293:8063:299:1", frame);
	tell(b, frame);
	give(b, 10);
	turn_until_blocks(b, 11);
	assert_int_equal(status(b).health, INTAKE_QUARANTINE);
	assert_int_equal(status(b).cause, INTAKE_CAUSE_BADNESS);
	assert_int_equal(status(b).intake.rejected, 11 * BLOCK);
	assert_int_equal(pool_level(b->pool), 0);
}

/* ---- a change of the long-term key ---- */

static const uint8_t mac[KEYED_MAC_LEN], nonce[REKEY_NONCE_LEN];

static void
note_rekey(void *arg, const struct rekey *rekey)
{
	struct bench *b = arg;

	assert_true(b->rekey_told_len < sizeof(b->rekey_told) / sizeof(b->rekey_told[0]));
	b->rekey_told[b->rekey_told_len++] = rekey->state;
}

static enum rekey_state
last_told(const struct bench *b)
{
	return b->rekey_told_len > 0 ? b->rekey_told[b->rekey_told_len - 1] : REKEY_CLOSED;
}

static bool
begin_rekey(struct bench *b)
{
	return source_rekey(b->source, b->device.serial, mac, note_rekey, b);
}

static void
turn_until_told(struct bench *b, enum rekey_state state)
{
	while (last_told(b) != state)
		turn(b);
}

static void
long_term_key_changes_between_two_sessions(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	give(b, 50);
	turn_until_blocks(b, 51);
	assert_true(begin_rekey(b));
	assert_false(begin_rekey(b));
	turn_until_told(b, REKEY_ACCEPTED);
	assert_true(source_rekey_change(b->source, b->device.serial, nonce));
	turn_until_told(b, REKEY_CHANGED);
	assert_string_equal(status(b).state, rekey_state_text(REKEY_CHANGED));
	source_keyring_changed(b->source);
	assert_int_equal(last_told(b), REKEY_CLOSED);
	turn_until_keyed(b);
	give(b, 50);
	turn_until_blocks(b, 102);
	take_in_order(b);
	assert_int_equal(b->taken, 102);
	assert_int_equal(status(b).ekey.session.resets, 2);
}

static void
refused_change_goes_back_to_a_session(void **state)
{
	struct bench *b = *state;

	b->refuses = true;
	plug(b);
	start_source(b);
	turn_until_keyed(b);
	assert_true(begin_rekey(b));
	turn_until_told(b, REKEY_ACCEPTED);
	assert_true(source_rekey_change(b->source, b->device.serial, nonce));
	turn_until_told(b, REKEY_CLOSED);
	assert_int_equal(b->rekey_told[b->rekey_told_len - 2], REKEY_REFUSED);
	turn_until_keyed(b);
}

static void
change_is_for_the_key_that_is_there(void **state)
{
	struct bench *b = *state;
	uint8_t other[KEYED_SERIAL_LEN] = {1};

	start_source(b);
	assert_false(begin_rekey(b)); /* not plugged in */
	plug(b);
	turn_until_keyed(b);
	assert_false(source_rekey(b->source, other, mac, note_rekey, b));
	assert_false(source_rekey_change(b->source, b->device.serial, nonce));
	assert_int_equal(b->rekey_told_len, 0);
	assert_true(begin_rekey(b));
	turn_until_told(b, REKEY_ACCEPTED);
	assert_false(source_rekey_change(b->source, other, nonce));
	assert_int_equal(last_told(b), REKEY_ACCEPTED);
}

static void
key_or_source_that_goes_ends_the_change(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	assert_true(begin_rekey(b));
	turn_until_told(b, REKEY_ACCEPTED);
	unplug(b);
	turn_until_told(b, REKEY_CLOSED);
	plug(b);
	turn_until_keyed(b);
	assert_true(begin_rekey(b));
	turn_until_told(b, REKEY_ACCEPTED);
	source_free(&b->source);
	assert_int_equal(last_told(b), REKEY_CLOSED);
}

/* Neither what the start-up test holds nor what lies in the socket is of the next session. */
static void
clone_begins_another_session_and_uses_nothing_of_the_last(void **state)
{
	struct bench *b = *state;

	plug(b);
	start_source(b);
	turn_until_keyed(b);
	assert_int_equal(give(b, 10), 10);
	turn_until_blocks(b, 11);
	assert_int_equal(status(b).intake.held, 11 * BLOCK);
	assert_int_equal(give(b, 50), 50);
	source_renew(b->source);
	assert_int_equal(status(b).intake.held, 0);
	turn_until_keyed(b);
	assert_int_equal(give(b, 99), 99);
	turn_until_blocks(b, 11 + 100);
	b->taken = 11 + 50;
	take_in_order(b);
	assert_int_equal(b->taken, 11 + 50 + 100);
	assert_int_equal(status(b).connects, 1);
}

static void
clone_without_its_key_waits_for_one(void **state)
{
	struct bench *b = *state;

	start_source(b);
	turn(b);
	source_renew(b->source);
	plug(b);
	turn_until_keyed(b);
}

static void
addresses_are_checked_by_their_form(void **state)
{
	char too_long[200] = "unix:/";

	(void)state;
	memset(too_long + 6, 'x', sizeof(too_long) - 7);
	assert_null(source_address_error("/dev/ttyACM0"));
	assert_null(source_address_error("unix:/run/key"));
	assert_non_null(source_address_error("unix:"));
	assert_non_null(source_address_error("unix:run/key"));
	assert_non_null(source_address_error("ttyACM0"));
	assert_non_null(source_address_error("usb"));
	assert_non_null(source_address_error(""));
	assert_non_null(source_address_error(too_long));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_arrive_in_the_pool_whole_and_in_order),
		TEST(full_pool_stops_the_reading_and_all_timers),
		TEST(bytes_read_before_the_pause_are_decoded_after_it),
		TEST(nothing_is_lost_between_pauses),
		TEST(removal_is_noticed_while_nothing_is_read),
		TEST(key_is_greeted_while_the_pool_is_full),
		TEST(absent_device_is_waited_for_and_taken_when_it_comes),
		TEST(device_that_went_is_taken_again),
		TEST(garbage_between_frames_costs_no_frame),
		TEST(trickle_is_read_in_batches_while_nobody_waits),
		TEST(who_waits_is_served_without_a_rest),
		TEST(unknown_key_is_a_state_until_the_keyring_has_it),
		TEST(bad_word_of_the_key_quarantines_it),
		TEST(long_term_key_changes_between_two_sessions),
		TEST(refused_change_goes_back_to_a_session),
		TEST(change_is_for_the_key_that_is_there),
		TEST(key_or_source_that_goes_ends_the_change),
		TEST(clone_begins_another_session_and_uses_nothing_of_the_last),
		TEST(clone_without_its_key_waits_for_one),
		cmocka_unit_test(addresses_are_checked_by_their_form),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
