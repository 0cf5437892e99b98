/* SPDX-License-Identifier: MIT */
/* The sources of a section whose keys are on USB, on a bus that is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sources.h"
#include "backend/usb/usb.h"
#include "tests/unit/fake_usb.h"
#include "tests/unit/log_lines.h"
#include "tests/unit/stopped_clock.h"

#define SERIAL FAKE_USB_SERIAL
#define OTHER "M/tBF1IwMQA+BBBB"
#define TURNS 4
#define SETTLE_MS 3000

struct rig {
	struct source_env env;
	struct keyring *ring;
	const struct keyring *ring_seen;
	unsigned credit, presences;
	struct sources *any, *named;
	int log; /* stderr as it was */
};

static void
on_presence(void *arg)
{
	((struct rig *)arg)->presences++;
}

static void
turn(struct rig *r)
{
	for (int i = 0; i < TURNS; i++) {
		event_base_loop(r->env.base, EVLOOP_NONBLOCK);
		libusb_handle_events_timeout_completed(NULL, NULL, NULL);
	}
}

static void
wait_ms(struct rig *r, uint64_t ms)
{
	stopped_clock_advance(ms);
	turn(r);
}

static int
set_up(void **state)
{
	const struct pool_config pool = {.size = POOL_SIZE_MIN, .max_handles = 1, .max_waiters = 1};
	static struct rig rig;

	stopped_clock_begin(NULL);
	fake_usb_begin();
	rig = (struct rig){.ring = calloc(1, sizeof(struct keyring)), .credit = SOURCE_CREDIT_MAX};
	rig.ring_seen = rig.ring;
	rig.env = (struct source_env){.base = event_base_new(),
				      .pool = pool_new(&pool),
				      .keyring = &rig.ring_seen,
				      .keyring_path = "/etc/keyring",
				      .presence = on_presence,
				      .presence_arg = &rig,
				      .credit = &rig.credit};
	rig.env.usb = usb_new(rig.env.base);
	rig.log = log_lines_begin();
	*state = &rig;
	return rig.env.usb == NULL;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	log_lines_end(r->log);
	sources_free(&r->named);
	sources_free(&r->any);
	usb_free(&r->env.usb);
	pool_free(&r->env.pool);
	event_base_free(r->env.base);
	free(r->ring);
	return fake_usb.transfers != 0 || fake_usb.handles != 0;
}

static struct sources *
start(struct rig *r, const char *name, const char *address, unsigned expect)
{
	struct source_config config = {.type = SOURCE_EKEY, .h = 7, .credit = 7, .expect = expect};
	struct sources *s;

	strcpy(config.name, name);
	strcpy(config.address, address);
	s = sources_new(&r->env, &config);
	assert_non_null(s);
	turn(r);
	return s;
}

static struct source_status
status_of(const struct sources *s, size_t i)
{
	struct source_status status;

	assert_non_null(sources_at(s, i));
	source_status(sources_at(s, i), &status);
	return status;
}

static unsigned
present(const struct sources *s)
{
	struct sources_status status;

	sources_status(s, &status);
	return status.present;
}

static void
each_key_is_a_source_of_its_own(void **state)
{
	struct rig *r = *state;
	struct sources_status status;

	fake_usb_plug(SERIAL);
	r->any = start(r, "keys", "usb", 0);
	assert_string_equal(status_of(r->any, 0).name, "keys/" SERIAL);
	assert_string_equal(status_of(r->any, 0).address, "usb:" SERIAL);
	assert_true(status_of(r->any, 0).connected);
	assert_null(sources_at(r->any, 1));
	fake_usb_plug(OTHER);
	turn(r);
	assert_string_equal(status_of(r->any, 1).name, "keys/" OTHER);
	assert_null(sources_at(r->any, 2));
	sources_status(r->any, &status);
	assert_int_equal(status.present, 2);
	assert_true(status.any);
	assert_false(status.list);
	assert_string_equal(status.name, "keys");
	assert_string_equal(status.address, "usb");
	assert_true(r->presences > 0);
}

/* With all its figures: it is the same one that comes back. */
static void
a_key_that_is_unplugged_keeps_its_source(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	r->any = start(r, "keys", "usb", 0);
	fake_usb_unplug(SERIAL);
	turn(r);
	assert_int_equal(present(r->any), 0);
	assert_non_null(sources_at(r->any, 0));
	fake_usb_plug(SERIAL);
	turn(r);
	assert_int_equal(present(r->any), 1);
	assert_int_equal(status_of(r->any, 0).connects, 2);
	assert_null(sources_at(r->any, 1));
}

static void
a_key_with_a_section_of_its_own_is_left_to_it(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	fake_usb_plug(OTHER);
	r->any = start(r, "keys", "usb", 0);
	assert_int_equal(present(r->any), 2);
	r->named = start(r, "mine", "usb:" SERIAL, 0);
	wait_ms(r, 60000);
	assert_int_equal(present(r->any), 1);
	assert_string_equal(status_of(r->any, 0).address, "usb:" OTHER);
	assert_null(sources_at(r->any, 1));
	assert_int_equal(present(r->named), 1);
	assert_string_equal(status_of(r->named, 0).name, "mine");
	sources_free(&r->named);
	turn(r);
	assert_int_equal(present(r->any), 2);
}

static void
more_keys_than_places_take_those_of_keys_that_are_gone(void **state)
{
	struct rig *r = *state;
	char serial[USB_SERIAL_MAX];

	r->any = start(r, "keys", "usb", 0);
	for (unsigned i = 0; i < SOURCES_MAX; i++) {
		snprintf(serial, sizeof(serial), "M/tBF1IwMQA+%04u", i);
		fake_usb_plug(serial);
		turn(r);
		if (i == 7) {
			fake_usb_unplug(serial);
			turn(r);
		}
	}
	assert_non_null(sources_at(r->any, SOURCES_MAX - 1));
	assert_int_equal(present(r->any), SOURCES_MAX - 1);
	fake_usb_plug(SERIAL);
	turn(r);
	assert_int_equal(present(r->any), SOURCES_MAX);
	assert_int_equal(log_lines_count("are used"), 0);
	fake_usb_plug(OTHER);
	turn(r);
	turn(r);
	assert_int_equal(present(r->any), SOURCES_MAX);
	assert_int_equal(log_lines_count("source keys: only 32 keys are used\n"), 1);
}

/* They come one after the other: it is said when no more come. */
static void
fewer_keys_than_expected_are_told_once(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	r->any = start(r, "keys", "usb", 2);
	wait_ms(r, SETTLE_MS - 1);
	assert_int_equal(log_lines_count("expected"), 0);
	wait_ms(r, 1);
	assert_int_equal(log_lines_count("source keys: 1 of 2 expected keys present\n"), 1);
	fake_usb_plug(OTHER);
	turn(r);
	wait_ms(r, SETTLE_MS);
	assert_int_equal(log_lines_count("source keys: all 2 expected keys present\n"), 1);
	fake_usb_plug(SERIAL "C");
	turn(r);
	wait_ms(r, SETTLE_MS);
	assert_int_equal(log_lines_count("expected keys present"), 2);
}

static void
as_many_keys_as_expected_are_not_told(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	r->any = start(r, "keys", "usb", 1);
	wait_ms(r, SETTLE_MS);
	assert_int_equal(log_lines_count("expected"), 0);
	fake_usb_unplug(SERIAL);
	turn(r);
	wait_ms(r, SETTLE_MS);
	assert_int_equal(log_lines_count("source keys: 0 of 1 expected keys present\n"), 1);
}

/* Before any of them has answered: who is asked must not depend on who answers first. */
static void
of_several_servers_the_first_is_asked_from_the_start(void **state)
{
	const struct source_config config = {.name = "up",
					     .type = SOURCE_EGD,
					     .address = "unix:/none/a, unix:/none/b",
					     .h = 7,
					     .policy = SOURCE_POLICY_FAILOVER,
					     .read_ahead = SOURCE_READ_AHEAD_MIN,
					     .timeout_ms = SOURCE_TIMEOUT_MIN_MS};
	struct rig *r = *state;
	struct sources_status status;

	r->any = sources_new(&r->env, &config);
	assert_non_null(r->any);
	assert_string_equal(status_of(r->any, 0).name, "up/1");
	assert_string_equal(status_of(r->any, 0).address, "unix:/none/a");
	assert_false(status_of(r->any, 0).egd.stands_by);
	assert_string_equal(status_of(r->any, 1).name, "up/2");
	assert_true(status_of(r->any, 1).egd.stands_by);
	assert_null(sources_at(r->any, 2));
	sources_status(r->any, &status);
	assert_true(status.list);
	assert_false(status.any);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_key_is_a_source_of_its_own),
		TEST(a_key_that_is_unplugged_keeps_its_source),
		TEST(a_key_with_a_section_of_its_own_is_left_to_it),
		TEST(more_keys_than_places_take_those_of_keys_that_are_gone),
		TEST(fewer_keys_than_expected_are_told_once),
		TEST(as_many_keys_as_expected_are_not_told),
		TEST(of_several_servers_the_first_is_asked_from_the_start),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
