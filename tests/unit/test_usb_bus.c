/* SPDX-License-Identifier: MIT */
/* Keys on a bus that is the test's: who hears of them, how they begin, fail and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/transport/usb_transport.h"
#include "backend/usb/usb.h"
#include "backend/usb/usb_faults.h"
#include "backend/usb/usb_queue.h"
#include "tests/unit/fake_usb.h"
#include "tests/unit/secret_scan.h"
#include "tests/unit/stopped_clock.h"

#define SERIAL FAKE_USB_SERIAL
#define OTHER "M/tBF1IwMQA+BBBB"
#define TURNS 4
#define PROBE_MS 1000
#define DRAIN_MS 50
#define SCAN_MS 2000
#define BOTH_INTERFACES 3

struct rig {
	struct event_base *base;
	struct usb *usb;
	struct usb_watch *watch;
	unsigned watched; /* calls */
	struct transport *transport;
	uint8_t heard[4096];
	size_t heard_len, taken_max;
	unsigned offers; /* calls with no bytes */
	unsigned gone;
	int error;
};

static void
on_watch(void *arg)
{
	((struct rig *)arg)->watched++;
}

static size_t
on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct rig *r = arg;
	size_t taken = len < r->taken_max ? len : r->taken_max;

	r->offers += len == 0;
	if (taken < len)
		transport_usb.set_reading(r->transport, false);
	if (taken > 0)
		memcpy(r->heard + r->heard_len, bytes, taken);
	r->heard_len += taken;
	return taken;
}

static void
on_gone(void *arg, int error)
{
	struct rig *r = arg;

	r->gone++;
	r->error = error;
}

/* All that is due now is done, in the loop and in libusb. */
static void
turn(struct rig *r)
{
	for (int i = 0; i < TURNS; i++) {
		event_base_loop(r->base, EVLOOP_NONBLOCK);
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
	static struct rig rig;

	stopped_clock_begin(NULL);
	fake_usb_begin();
	rig = (struct rig){.taken_max = sizeof(rig.heard)};
	rig.base = event_base_new();
	rig.usb = usb_new(rig.base);
	*state = &rig;
	return rig.base == NULL || rig.usb == NULL;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	if (r->transport != NULL)
		transport_usb.close(r->transport);
	usb_watch_free(&r->watch);
	usb_free(&r->usb);
	event_base_free(r->base);
	return fake_usb.transfers != 0 || fake_usb.handles != 0;
}

static void
watch(struct rig *r, const char *serial)
{
	r->watch = usb_watch_new(r->usb, serial, on_watch, r);
	assert_non_null(r->watch);
	turn(r);
}

static int
open_key(struct rig *r, const char *serial)
{
	const struct transport_env env = {.base = r->base, .usb = r->usb};
	const struct transport_events events = {.bytes = on_bytes, .gone = on_gone, .arg = r};

	return transport_usb.open(&env, serial, &events, &r->transport);
}

/* A key that was plugged in, is open and has shown that it lives. */
static void
begin(struct rig *r)
{
	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), 0);
	turn(r);
	fake_usb_act_done(0);
	turn(r);
	wait_ms(r, DRAIN_MS);
}

static void
assert_act(enum priv_usb_act act, unsigned number)
{
	assert_true(fake_usb.acts_len > 0);
	assert_int_equal(fake_usb.acts[fake_usb.acts_len - 1].act, act);
	assert_int_equal(fake_usb.acts[fake_usb.acts_len - 1].number, number);
}

static void
assert_gone(const struct rig *r, int error)
{
	assert_int_equal(r->gone, 1);
	assert_int_equal(r->error, error);
	assert_int_equal(fake_usb_waiting(), 0);
}

/* ---- who is there ---- */

static void
a_watch_hears_of_its_key_and_of_no_other(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(OTHER);
	watch(r, SERIAL);
	assert_int_equal(r->watched, 0);
	fake_usb_plug(SERIAL);
	turn(r);
	assert_int_equal(r->watched, 1);
	fake_usb_unplug(SERIAL);
	turn(r);
	assert_int_equal(r->watched, 1);
	fake_usb_plug(SERIAL);
	turn(r);
	assert_int_equal(r->watched, 2);
	assert_string_equal(usb_key(r->usb, 0)->identity.serial, SERIAL);
	assert_string_equal(usb_key(r->usb, 1)->identity.serial, OTHER);
	assert_null(usb_key(r->usb, 2));
}

static void
a_watch_of_all_hears_of_every_change(void **state)
{
	struct rig *r = *state;

	watch(r, NULL);
	assert_int_equal(r->watched, 1);
	fake_usb_plug(SERIAL);
	turn(r);
	assert_int_equal(r->watched, 2);
	assert_true(usb_reserve(r->usb, SERIAL));
	turn(r);
	assert_int_equal(r->watched, 3);
	usb_unreserve(r->usb, SERIAL);
	turn(r);
	assert_int_equal(r->watched, 4);
	fake_usb_unplug(SERIAL);
	turn(r);
	assert_int_equal(r->watched, 5);
	turn(r);
	assert_int_equal(r->watched, 5);
}

/* A key that is named in the configuration is for the source that names it. */
static void
a_reserved_key_is_so_until_it_is_given_free(void **state)
{
	struct rig *r = *state;

	assert_true(usb_reserve(r->usb, SERIAL));
	assert_true(usb_reserve(r->usb, OTHER));
	assert_true(usb_is_reserved(r->usb, SERIAL));
	usb_unreserve(r->usb, OTHER);
	assert_true(usb_is_reserved(r->usb, SERIAL));
	assert_false(usb_is_reserved(r->usb, OTHER));
	usb_unreserve(r->usb, SERIAL);
	assert_false(usb_is_reserved(r->usb, SERIAL));
}

static void
a_key_without_a_serial_number_is_nobodys(void **state)
{
	struct rig *r = *state;

	fake_usb_plug("");
	watch(r, NULL);
	assert_null(usb_key(r->usb, 0));
	assert_int_equal(open_key(r, SERIAL), -ENODEV);
	fake_usb_unplug("");
	turn(r);
	fake_usb_plug(SERIAL);
	assert_non_null(usb_key(r->usb, 0));
}

static void
where_nothing_tells_of_keys_they_are_looked_for_every_2_s(void **state)
{
	struct rig *r = *state;
	unsigned looks;

	fake_usb.has_hotplug = false;
	watch(r, SERIAL);
	fake_usb_plug(SERIAL);
	looks = fake_usb.looks;
	wait_ms(r, SCAN_MS - 1);
	assert_int_equal(r->watched, 0);
	assert_int_equal(fake_usb.looks, looks);
	wait_ms(r, 1);
	assert_int_equal(r->watched, 1);
	assert_int_equal(fake_usb.looks, looks + 1);
	wait_ms(r, SCAN_MS);
	assert_int_equal(r->watched, 1);
	assert_int_equal(fake_usb.looks, looks + 2);
	fake_usb_unplug(SERIAL);
	wait_ms(r, SCAN_MS);
	assert_null(usb_key(r->usb, 0));
}

static void
a_libusb_that_does_not_start_is_tried_again(void **state)
{
	struct rig *r = *state;

	fake_usb.init_result = LIBUSB_ERROR_OTHER;
	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), -ENODEV);
	fake_usb.init_result = 0;
	wait_ms(r, SCAN_MS);
	assert_int_equal(open_key(r, SERIAL), 0);
}

/* ---- the beginning ---- */

/* The kernel's driver gets the key back when it was not given up. */
static void
a_key_is_claimed_whole_and_given_back_with_its_driver(void **state)
{
	struct rig *r = *state;

	begin(r);
	assert_int_equal(fake_usb.claimed, BOTH_INTERFACES);
	assert_int_equal(fake_usb.released, 0);
	assert_int_equal(fake_usb.acts[0].act, PRIV_USB_PROBE);
	assert_int_equal(fake_usb.acts[0].number, PROBE_MS);
	transport_usb.close(r->transport);
	r->transport = NULL;
	assert_int_equal(fake_usb.released, BOTH_INTERFACES);
	assert_int_equal(fake_usb.acts_len, 2);
	assert_act(PRIV_USB_ATTACH, 0);
	assert_int_equal(fake_usb.acts[1].fd, -1);
	assert_int_equal(r->gone, 0);
	assert_int_equal(open_key(r, SERIAL), 0);
}

static void
one_key_has_one_holder(void **state)
{
	struct rig *r = *state;
	struct usb_key *key;

	begin(r);
	assert_int_equal(usb_hold(r->usb, SERIAL, &key), -EBUSY);
	assert_int_equal(usb_hold(r->usb, OTHER, &key), -ENODEV);
	fake_usb_plug(SERIAL); /* another with the same number */
	assert_int_equal(usb_hold(r->usb, SERIAL, &key), 0);
	assert_int_equal(key->address.device, 2);
	usb_give_back(r->usb, key, false);
}

static void
a_key_that_cannot_be_had_is_given_back(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	fake_usb.open_result = -EACCES;
	assert_int_equal(open_key(r, SERIAL), -EACCES);
	fake_usb.open_result = -ENOENT; /* its node went before we heard of it */
	assert_int_equal(open_key(r, SERIAL), -ENODEV);
	fake_usb.open_result = 0;
	fake_usb.claim_result = -EBUSY;
	assert_int_equal(open_key(r, SERIAL), -EBUSY);
	fake_usb.claim_result = 0;
	fake_usb.is_no_key = true;
	assert_int_equal(open_key(r, SERIAL), -ENXIO);
	fake_usb.is_no_key = false;
	assert_int_equal(open_key(r, SERIAL), 0);
}

static void
a_key_that_does_not_answer_is_given_up_before_libusb_asks_it(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), 0);
	turn(r);
	assert_int_equal(fake_usb.handles, 0);
	fake_usb_act_done(-ETIMEDOUT);
	turn(r);
	assert_int_equal(fake_usb.handles, 0);
	assert_gone(r, ETIMEDOUT);
}

static void
a_key_that_answers_in_another_way_begins(void **state)
{
	struct rig *r = *state;

	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), 0);
	turn(r);
	fake_usb_act_done(-EPIPE);
	turn(r);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
	assert_int_equal(r->gone, 0);
}

static void
a_key_that_libusb_cannot_have_is_gone(void **state)
{
	struct rig *r = *state;

	fake_usb.wrap_result = LIBUSB_ERROR_ACCESS;
	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), 0);
	turn(r);
	fake_usb_act_done(0);
	turn(r);
	assert_gone(r, EACCES);
}

/* They were for whoever had the key before. */
static void
first_packets_are_thrown_away_while_commands_wait(void **state)
{
	struct rig *r = *state;
	size_t len;

	fake_usb_plug(SERIAL);
	watch(r, SERIAL);
	assert_int_equal(open_key(r, SERIAL), 0);
	transport_usb.send(r->transport, (const uint8_t *)"one", 3);
	turn(r);
	fake_usb_act_done(0);
	turn(r);
	fake_usb_packet("stale", 5);
	wait_ms(r, DRAIN_MS - 1);
	assert_null(fake_usb_command(LIBUSB_TRANSFER_COMPLETED, &len));
	assert_int_equal(r->heard_len, 0);
	transport_usb.send(r->transport, (const uint8_t *)"two", 3);
	wait_ms(r, 1);
	fake_usb_packet("fresh", 5);
	turn(r);
	assert_int_equal(r->heard_len, 5);
	assert_memory_equal(r->heard, "fresh", 5);
	assert_memory_equal(fake_usb_command(LIBUSB_TRANSFER_COMPLETED, &len), "onetwo", 6);
	assert_int_equal(len, 6);
}

/* ---- traffic ---- */

static void
packets_are_heard_in_order_and_asked_for_anew(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[64], all[3 * 64];

	begin(r);
	for (int i = 0; i < 3; i++) {
		memset(bytes, 'a' + i, sizeof(bytes));
		memcpy(all + i * 64, bytes, 64);
		fake_usb_packet(bytes, sizeof(bytes));
	}
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN - 3);
	turn(r);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
	assert_int_equal(r->heard_len, sizeof(all));
	assert_memory_equal(r->heard, all, sizeof(all));
}

static void
a_full_taker_stops_the_key_and_loses_nothing(void **state)
{
	struct rig *r = *state;

	begin(r);
	r->taken_max = 2;
	fake_usb_packet("abc", 3);
	fake_usb_packet("de", 2);
	turn(r);
	assert_memory_equal(r->heard, "ab", 2);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN - 2);
	fake_usb_packet("fg", 2);
	turn(r);
	assert_int_equal(r->heard_len, 2);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN - 3);
	r->taken_max = sizeof(r->heard);
	transport_usb.set_reading(r->transport, true);
	turn(r);
	assert_int_equal(r->offers, 1);
	assert_int_equal(r->heard_len, 7);
	assert_memory_equal(r->heard, "abcdefg", 7);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
	transport_usb.set_reading(r->transport, true);
	turn(r);
	assert_int_equal(r->offers, 1);
}

static void
commands_that_come_meanwhile_follow_together(void **state)
{
	struct rig *r = *state;
	size_t len;

	begin(r);
	transport_usb.send(r->transport, (const uint8_t *)"a", 1);
	turn(r);
	transport_usb.send(r->transport, (const uint8_t *)"b", 1);
	transport_usb.send(r->transport, (const uint8_t *)"c", 1);
	turn(r);
	assert_memory_equal(fake_usb_command(LIBUSB_TRANSFER_COMPLETED, &len), "a", 1);
	turn(r);
	/* One that the key did not take is lost, as on a wire. */
	assert_memory_equal(fake_usb_command(LIBUSB_TRANSFER_TIMED_OUT, &len), "bc", 2);
	turn(r);
	assert_null(fake_usb_command(LIBUSB_TRANSFER_COMPLETED, &len));
	assert_int_equal(r->gone, 0);
}

static void
a_key_that_takes_no_commands_at_all_is_given_up(void **state)
{
	struct rig *r = *state;
	const uint8_t command[64] = {0};

	begin(r);
	for (int i = 0; i < 5; i++) {
		transport_usb.send(r->transport, command, sizeof(command));
		turn(r);
	}
	assert_int_equal(r->gone, 0);
	transport_usb.send(r->transport, command, sizeof(command));
	turn(r);
	assert_gone(r, ETIMEDOUT);
}

static void
a_transfer_that_cannot_be_submitted_ends_the_key(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb.submit_result = LIBUSB_ERROR_IO;
	fake_usb_packet("a", 1);
	turn(r);
	assert_int_equal(r->heard_len, 1);
	assert_gone(r, EIO);
}

static void
a_command_that_cannot_be_submitted_ends_the_key(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb.submit_result = LIBUSB_ERROR_NO_DEVICE;
	transport_usb.send(r->transport, (const uint8_t *)"a", 1);
	turn(r);
	assert_gone(r, ENODEV);
}

/* ---- faults ---- */

static void
after_a_fault_all_is_cancelled_and_begins_again_after_a_pause(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb_fail(LIBUSB_TRANSFER_ERROR);
	turn(r);
	assert_int_equal(fake_usb_waiting(), 0);
	wait_ms(r, USB_PAUSE_MIN_MS - 1);
	assert_int_equal(fake_usb_waiting(), 0);
	wait_ms(r, 1);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
	fake_usb_packet("on", 2);
	turn(r);
	assert_memory_equal(r->heard, "on", 2);
	assert_int_equal(r->gone, 0);
	assert_int_equal(fake_usb.acts_len, 1); /* the probe */
}

static void
an_endpoint_that_stalls_is_unhalted_before_the_pause(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb_fail(LIBUSB_TRANSFER_STALL);
	turn(r);
	assert_act(PRIV_USB_CLEAR_HALT, FAKE_USB_IN);
	wait_ms(r, 10 * USB_PAUSE_MAX_MS);
	assert_int_equal(fake_usb_waiting(), 0);
	fake_usb_act_done(0);
	turn(r);
	assert_int_equal(fake_usb_waiting(), 0);
	wait_ms(r, USB_PAUSE_MIN_MS);
	assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
}

static void
a_key_that_goes_while_it_is_unhalted_is_gone(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb_fail(LIBUSB_TRANSFER_STALL);
	turn(r);
	fake_usb_act_done(-ENODEV);
	turn(r);
	assert_gone(r, ENODEV);
}

/* It stays without a driver: it is tried again, and the driver would talk to it. */
static void
a_key_whose_fault_stays_is_given_up_once(void **state)
{
	struct rig *r = *state;

	begin(r);
	for (int i = 1; i < USB_FAULTS_MAX; i++) {
		fake_usb_fail(LIBUSB_TRANSFER_ERROR);
		turn(r);
		wait_ms(r, USB_PAUSE_MAX_MS);
		assert_int_equal(r->gone, 0);
		assert_int_equal(fake_usb_waiting(), USB_QUEUE_LEN);
	}
	fake_usb_fail(LIBUSB_TRANSFER_ERROR);
	wait_ms(r, USB_PAUSE_MAX_MS);
	assert_gone(r, EPROTO);
	transport_usb.close(r->transport);
	r->transport = NULL;
	assert_int_equal(fake_usb.acts_len, 1);
}

/* ---- the end ---- */

static void
a_key_that_is_unplugged_is_gone_once_and_forgotten(void **state)
{
	struct rig *r = *state;

	begin(r);
	fake_usb_fail(LIBUSB_TRANSFER_NO_DEVICE);
	fake_usb_unplug(SERIAL);
	turn(r);
	assert_gone(r, ENODEV);
	assert_null(usb_key(r->usb, 0));
	fake_usb_plug(SERIAL);
	turn(r);
	transport_usb.close(r->transport);
	r->transport = NULL;
	assert_int_equal(fake_usb.acts_len, 1); /* nothing is given back */
	assert_int_equal(open_key(r, SERIAL), 0);
	turn(r);
	assert_act(PRIV_USB_PROBE, PROBE_MS);
}

static void
a_reset_gives_the_key_up_first(void **state)
{
	struct rig *r = *state;

	begin(r);
	transport_usb.reset(r->transport);
	transport_usb.reset(r->transport);
	turn(r);
	assert_int_equal(fake_usb_waiting(), 0);
	assert_int_equal(fake_usb.released, BOTH_INTERFACES);
	assert_int_equal(fake_usb.acts_len, 2);
	assert_act(PRIV_USB_RESET, 0);
	assert_int_equal(r->gone, 0);
	fake_usb_act_done(0);
	turn(r);
	assert_gone(r, ECONNRESET);
}

static void
a_reset_that_fails_says_how(void **state)
{
	struct rig *r = *state;

	begin(r);
	transport_usb.reset(r->transport);
	turn(r);
	fake_usb_act_done(-EPERM);
	turn(r);
	assert_gone(r, EPERM);
}

static void
what_was_not_taken_is_wiped(void **state)
{
	static const char packet[] = "a packet that nobody takes";
	struct rig *r = *state;

	begin(r);
	r->taken_max = 0;
	fake_usb_packet(packet, sizeof(packet));
	turn(r);
	assert_int_equal(secret_scan(packet, sizeof(packet)), 1);
	transport_usb.close(r->transport);
	r->transport = NULL;
	assert_int_equal(secret_scan(packet, sizeof(packet)), 0);
}

static void
a_report_names_port_speed_and_endpoints(void **state)
{
	struct rig *r = *state;
	char text[4096], little[8];

	begin(r);
	transport_usb.describe(r->transport, text, sizeof(text));
	assert_non_null(strstr(text, "USB port 1-1 at 12 Mbit/s: \"Simtec\", \"Key\"\n"));
	assert_true(strlen(text) > 100);
	assert_null(strstr(text, SERIAL));
	transport_usb.describe(r->transport, little, sizeof(little));
	assert_int_equal(strlen(little), sizeof(little) - 1);
}

static void
a_serial_number_that_none_can_be_is_refused(void **state)
{
	(void)state;
	assert_null(transport_usb.check(SERIAL));
	assert_non_null(transport_usb.check("M_tBF1IwMQA+AAAA"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_watch_hears_of_its_key_and_of_no_other),
		TEST(a_watch_of_all_hears_of_every_change),
		TEST(a_reserved_key_is_so_until_it_is_given_free),
		TEST(a_key_without_a_serial_number_is_nobodys),
		TEST(where_nothing_tells_of_keys_they_are_looked_for_every_2_s),
		TEST(a_libusb_that_does_not_start_is_tried_again),
		TEST(a_key_is_claimed_whole_and_given_back_with_its_driver),
		TEST(one_key_has_one_holder),
		TEST(a_key_that_cannot_be_had_is_given_back),
		TEST(a_key_that_does_not_answer_is_given_up_before_libusb_asks_it),
		TEST(a_key_that_answers_in_another_way_begins),
		TEST(a_key_that_libusb_cannot_have_is_gone),
		TEST(first_packets_are_thrown_away_while_commands_wait),
		TEST(packets_are_heard_in_order_and_asked_for_anew),
		TEST(a_full_taker_stops_the_key_and_loses_nothing),
		TEST(commands_that_come_meanwhile_follow_together),
		TEST(a_key_that_takes_no_commands_at_all_is_given_up),
		TEST(a_transfer_that_cannot_be_submitted_ends_the_key),
		TEST(a_command_that_cannot_be_submitted_ends_the_key),
		TEST(after_a_fault_all_is_cancelled_and_begins_again_after_a_pause),
		TEST(an_endpoint_that_stalls_is_unhalted_before_the_pause),
		TEST(a_key_that_goes_while_it_is_unhalted_is_gone),
		TEST(a_key_whose_fault_stays_is_given_up_once),
		TEST(a_key_that_is_unplugged_is_gone_once_and_forgotten),
		TEST(a_reset_gives_the_key_up_first),
		TEST(a_reset_that_fails_says_how),
		TEST(what_was_not_taken_is_wiped),
		TEST(a_report_names_port_speed_and_endpoints),
		TEST(a_serial_number_that_none_can_be_is_refused),
	};

	return cmocka_run_group_tests_name("usb_bus", tests, NULL, NULL);
}
