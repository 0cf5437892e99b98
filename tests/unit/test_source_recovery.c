/* SPDX-License-Identifier: MIT */
/*
 * A source and a key on USB that falls mute: who is told, and when the device is reset. The key is
 * a transport of this file, which serves "usb:" here, and time passes as the tests say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/ekey/pem64.h"
#include "backend/recovery.h"
#include "backend/source.h"
#include "backend/transport/usb_transport.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "tests/unit/device.h"

#define STEP_MS 50
#define SIGN_MS 1000                                  /* between two frames of a key that is well */
#define WORST_MS (SESSION_RETRY_MAX_MS + 2 * STEP_MS) /* until a session's reset is in vain */

/* ---- time ---- */

static uint64_t now_ms = 1000000;

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){.tv_sec = (time_t)(now_ms / 1000),
				 .tv_nsec = (long)(now_ms % 1000 * 1000000)};
	return 0;
}

/* ---- the key ---- */

struct wire {
	struct transport transport;
	struct transport_events events;
	struct event *turn; /* to speak, or to go */
	bool goes;
	uint8_t queued[4 * FRAME_LEN];
	size_t queued_len;
};

static struct key {
	bool absent, mute;
	bool cured_by_reset, lost_by_reset;
	bool ends; /* the connection does, once, with end_error */
	int end_error;
	bool opened; /* by the source */
	unsigned resets;
	uint64_t reset_ms[32];
	struct device device;
} key;

static void
wire_turn(const struct wire *w, uint64_t wait_ms)
{
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	event_add(w->turn, &wait);
}

static void
wire_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;
	uint8_t frame[FRAME_LEN];
	size_t len = w->queued_len;

	(void)fd, (void)what;
	if (w->goes || key.ends) {
		key.ends = false;
		w->events.gone(w->events.arg, w->goes ? ECONNRESET : key.end_error);
		return;
	}
	w->queued_len = 0;
	device_text(&key.device, 'I', "T03143 V03254", frame);
	if (!key.mute)
		w->events.bytes(w->events.arg, len > 0 ? w->queued : frame,
				len > 0 ? len : FRAME_LEN);
	wire_turn(w, SIGN_MS);
}

static int
wire_open(const struct transport_env *env, const char *where, const struct transport_events *events,
	  struct transport **ret)
{
	struct wire *w;

	(void)where;
	if (key.absent)
		return -ENODEV;
	w = calloc(1, sizeof(*w));
	*w = (struct wire){.transport.kind = &transport_usb, .events = *events};
	w->turn = evtimer_new(env->base, wire_on_turn, w);
	wire_turn(w, SIGN_MS);
	key.opened = true;
	*ret = &w->transport;
	return 0;
}

static void
wire_close(struct transport *transport)
{
	struct wire *w = (struct wire *)transport;

	key.opened = false;
	event_free(w->turn);
	free(w);
}

/* What it says to one command: a reset, or K with a nonce. */
static void
wire_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct wire *w = (struct wire *)transport;
	uint8_t nonce[SESSION_NONCE_LEN];
	size_t nonce_len;

	if (bytes[0] == 0x03) {
		device_reset(&key.device);
		device_serial(&key.device, w->queued);
		device_ask(&key.device, w->queued + FRAME_LEN);
	} else {
		assert_int_equal(len, 18);
		assert_true(pem64_decode((const char *)bytes + 1, 16, sizeof(nonce), nonce,
					 &nonce_len));
		device_answer(&key.device, nonce, nonce_len, w->queued);
		device_entropy(&key.device, w->queued + FRAME_LEN);
	}
	w->queued_len = (size_t)2 * FRAME_LEN;
	wire_turn(w, 0);
}

static void
wire_reset(struct transport *transport)
{
	struct wire *w = (struct wire *)transport;

	assert_true(key.resets < sizeof(key.reset_ms) / sizeof(key.reset_ms[0]));
	key.reset_ms[key.resets++] = now_ms;
	key.mute = key.mute && !key.cured_by_reset;
	key.absent = key.lost_by_reset;
	w->goes = true;
	wire_turn(w, 100);
}

static void
wire_set_reading(struct transport *transport, bool on)
{
	(void)transport, (void)on;
}

/* Nothing tells that it has come: it is looked for again and again. */
static void *
wire_watch(const struct transport_env *env, const char *where, void (*fn)(void *arg), void *arg)
{
	(void)env, (void)where, (void)fn, (void)arg;
	return NULL;
}

static const char *
wire_check(const char *where)
{
	(void)where;
	return NULL;
}

const struct transport_kind transport_usb = {
	.prefix = "usb:",
	.check = wire_check,
	.open = wire_open,
	.close = wire_close,
	.send = wire_send,
	.set_reading = wire_set_reading,
	.reset = wire_reset,
	.watch = wire_watch,
};

/* ---- the host ---- */

struct bench {
	struct event_base *base;
	struct pool *pool;
	struct keyring *ring;
	const struct keyring *ring_seen;
	struct source *source;
	unsigned alarms; /* that began */
	bool alarm;
};

static bool
is_keyed(const struct bench *b)
{
	struct source_status status;

	source_status(b->source, &status);
	return strcmp(status.state, session_state_text(SESSION_KEYED)) == 0;
}

static void
pass(struct bench *b, uint64_t ms)
{
	for (uint64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += STEP_MS) {
		struct source_status status;

		event_base_loop(b->base, EVLOOP_NONBLOCK);
		source_status(b->source, &status);
		b->alarms += status.ekey.alarm && !b->alarm;
		b->alarm = status.ekey.alarm;
	}
}

static int
begin(void **state, bool mute)
{
	const struct pool_config pool_config = {
		.size = POOL_SIZE_MIN, .max_handles = 1, .max_waiters = 1};
	const struct source_config config = {
		.name = "key", .address = "usb:NwBvBlg3OTBJORFD", .h = HEALTH_H_MIN};
	struct bench *b = calloc(1, sizeof(*b));
	struct source_env env;

	key = (struct key){.mute = mute};
	device_init(&key.device);
	b->base = event_base_new();
	b->pool = pool_new(&pool_config);
	b->ring = secret_new(sizeof(*b->ring));
	b->ring->len = 1;
	memcpy(b->ring->entries[0].serial, key.device.serial, KEYED_SERIAL_LEN);
	memcpy(b->ring->entries[0].ltk, key.device.ltk, KEYED_SECRET_LEN);
	b->ring_seen = b->ring;
	env = (struct source_env){.base = b->base,
				  .pool = b->pool,
				  .keyring = &b->ring_seen,
				  .keyring_path = "/etc/keyring"};
	b->source = source_new(&env, &config);
	pass(b, 5000);
	assert_int_equal(is_keyed(b), !mute);
	*state = b;
	return 0;
}

static int
set_up(void **state)
{
	return begin(state, false);
}

static int
set_up_mute(void **state)
{
	return begin(state, true);
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	source_free(&b->source);
	assert_false(key.opened);
	pool_free(&b->pool);
	event_base_free(b->base);
	secret_free(b->ring, sizeof(*b->ring));
	free(b);
	return 0;
}

/* ---- promises ---- */

static void
well_key_is_never_reset(void **state)
{
	struct bench *b = *state;

	pass(b, 3600000);
	assert_int_equal(key.resets, 0);
	assert_int_equal(b->alarms, 0);
}

/* The first reset cures it, for ten seconds; so does the second. */
static void
key_that_falls_mute_again_soon_is_reset_again_and_answers(void **state)
{
	struct bench *b = *state;

	key.cured_by_reset = key.mute = true;
	pass(b, 20000);
	assert_int_equal(key.resets, 1);
	assert_int_equal(b->alarms, 0);
	assert_true(is_keyed(b));

	key.mute = true;
	pass(b, RECOVERY_DEVICE_MIN_MS - (now_ms - key.reset_ms[0]));
	assert_int_equal(key.resets, 1);
	assert_int_equal(b->alarms, 1);
	assert_true(b->alarm);
	pass(b, WORST_MS);
	assert_int_equal(key.resets, 2);
	pass(b, 10000);
	assert_true(is_keyed(b));
	assert_false(b->alarm);
}

static void
assert_resets_at_growing_intervals(void)
{
	uint64_t wait_ms = RECOVERY_DEVICE_MIN_MS;

	for (unsigned i = 1; i < key.resets; i++) {
		assert_in_range(key.reset_ms[i] - key.reset_ms[i - 1], wait_ms, wait_ms + WORST_MS);
		wait_ms =
			wait_ms < RECOVERY_DEVICE_MAX_MS / 2 ? wait_ms * 2 : RECOVERY_DEVICE_MAX_MS;
	}
}

static void
mute_key_is_reset_all_day_at_growing_intervals_and_alarm_is_said_once(void **state)
{
	struct bench *b = *state;

	key.mute = true;
	pass(b, 24 * 3600000);
	assert_int_equal(b->alarms, 1);
	assert_true(b->alarm);
	assert_in_range(key.resets, 24, 32);
	assert_resets_at_growing_intervals();
	key.mute = false;
	pass(b, WORST_MS + 5000);
	assert_true(is_keyed(b));
	assert_false(b->alarm);
}

static void
key_that_never_answered_is_reset_at_growing_intervals_too(void **state)
{
	pass(*state, 3600000);
	assert_in_range(key.resets, 5, 7); /* after 0, 1, 3, 7, 15 and 31 minutes */
	assert_resets_at_growing_intervals();
}

static void
key_that_does_not_come_back_from_its_reset_raises_the_alarm(void **state)
{
	struct bench *b = *state;

	key.mute = key.lost_by_reset = true;
	pass(b, 20000);
	assert_int_equal(key.resets, 1);
	assert_true(b->alarm);
	key.mute = key.absent = false; /* somebody has plugged it in again */
	pass(b, 10000);
	assert_true(is_keyed(b));
	assert_false(b->alarm);
	assert_int_equal(b->alarms, 1);
}

/* Ends the connection, and waits until the key is back. */
static void
end_connection(struct bench *b, int error)
{
	key.ends = true;
	key.end_error = error;
	pass(b, 3 * SIGN_MS);
	assert_false(key.ends);
	pass(b, 30000); /* as long as a link may wait */
}

static void
key_that_is_unplugged_is_neither_reset_nor_a_reason_for_an_alarm(void **state)
{
	static const int errors[] = {0, ENODEV, EIO, ECONNABORTED};
	struct bench *b = *state;

	for (size_t i = 0; i < 3 * sizeof(errors) / sizeof(errors[0]); i++) {
		end_connection(b, errors[i % (sizeof(errors) / sizeof(errors[0]))]);
		assert_true(is_keyed(b));
		assert_int_equal(key.resets, 0);
		assert_int_equal(b->alarms, 0);
	}
}

static void
fault_of_the_transport_resets_the_key_and_the_next_raises_the_alarm(void **state)
{
	static const int errors[] = {EPROTO, EPIPE, EOVERFLOW, ETIMEDOUT};
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		end_connection(b, errors[i]);
		assert_int_equal(key.resets, i + 1);
		assert_int_equal(b->alarms, i);
		assert_true(is_keyed(b));
		key.ends = true; /* while no other reset may be tried yet */
		pass(b, 3 * SIGN_MS);
		assert_int_equal(key.resets, i + 1);
		assert_int_equal(b->alarms, i + 1);
		pass(b, RECOVERY_DEVICE_MAX_MS);
		assert_true(is_keyed(b));
		assert_false(b->alarm);
	}
}

static void
unplugging_ends_the_alarm(void **state)
{
	struct bench *b = *state;

	key.mute = true;
	pass(b, 3600000);
	assert_true(b->alarm);
	key.absent = key.ends = true;
	key.end_error = ENODEV;
	pass(b, 2 * SIGN_MS);
	assert_false(b->alarm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(well_key_is_never_reset),
		TEST(key_that_falls_mute_again_soon_is_reset_again_and_answers),
		TEST(mute_key_is_reset_all_day_at_growing_intervals_and_alarm_is_said_once),
		cmocka_unit_test_setup_teardown(
			key_that_never_answered_is_reset_at_growing_intervals_too, set_up_mute,
			tear_down),
		TEST(key_that_does_not_come_back_from_its_reset_raises_the_alarm),
		TEST(key_that_is_unplugged_is_neither_reset_nor_a_reason_for_an_alarm),
		TEST(fault_of_the_transport_resets_the_key_and_the_next_raises_the_alarm),
		TEST(unplugging_ends_the_alarm),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
