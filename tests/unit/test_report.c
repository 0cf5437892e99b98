/* SPDX-License-Identifier: MIT */
/* How a report judges a key: one as it should be, and one that differs in one thing after another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "backend/report.h"
#include "backend/usb/usb_descriptor.h"
#include "tests/sim/usb_descriptors.h"

#define HEAD "USB port 1-1 at 12 Mbit/s: \"Simtec Electronics\", \"Entropy Key\"\n"
#define AS_EXPECTED "compared with what a key should show: as expected\n"

/* ---- a key as it should be ---- */

static struct frame_stats frame_stats;
static struct source_status key;
static char description[4096];

static void
subcodes(char type, unsigned least, unsigned most)
{
	frame_stats.types[(size_t)type] = (struct frame_stats_type){.authentic = 100,
								    .binary = true,
								    .subcode_min = (uint16_t)least,
								    .subcode_max = (uint16_t)most};
}

static void
describe(void)
{
	uint8_t bytes[2 * USB_DESCRIPTOR_MAX];
	size_t len = usb_descriptor(USB_DESCRIPTOR_DEVICE, 0, "SERIAL", bytes);

	len += usb_descriptor(USB_DESCRIPTOR_CONFIGURATION, 0, "SERIAL", bytes + len);
	strcpy(description, HEAD);
	usb_describe(bytes, len, description + strlen(HEAD), sizeof(description) - strlen(HEAD));
}

static int
set_up(void **state)
{
	(void)state;
	frame_stats_init(&frame_stats);
	frame_stats.ask_ms = (struct frame_stats_span){1, 907, 907, 907};
	frame_stats.interval_ms = (struct frame_stats_span){3, 47700, 47600, 47800};
	frame_stats.blocks_per_s =
		(struct frame_stats_span){150, 86, 12, 87}; /* it was kept waiting once */
	subcodes('S', 0, 0);
	subcodes('K', 12, 12);
	subcodes('E', 0, 4095);
	frame_stats.types['k'].authentic = frame_stats.types['I'].authentic = 3;
	frame_stats.shapes[0] =
		(struct frame_stats_shape){.type = 'I', .count = 3, .text = "T0 V0"};
	key = (struct source_status){
		.serves = true,
		.ekey = {.frame_stats = &frame_stats,
			 .session = {.frames_ok = 5000, .frames_bad_mac = 3, .blocks = 4900},
			 .telemetry = {.have_temperature = true,
				       .have_voltage = true,
				       .have_fips = true,
				       .have_raw = true,
				       .temp_decikelvin = 3143,
				       .voltage_mv = 3254,
				       .badness = TELEMETRY_BADNESS_OK}}};
	describe();
	return 0;
}

static void
assert_says(const char *want)
{
	struct evbuffer *out = evbuffer_new();

	report_compare(out, &key, description);
	evbuffer_add(out, "", 1);
	assert_string_equal((const char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

/* Says so, and the key is as it was again. */
static void
assert_differs(const char *what)
{
	char want[200];

	snprintf(want, sizeof(want), "compared with what a key should show: differs in %s\n", what);
	assert_says(want);
	set_up(NULL);
}

/* ---- promises ---- */

static void
a_key_as_the_protocol_has_it_is_as_expected(void **state)
{
	(void)state;
	assert_says(AS_EXPECTED);
	description[0] = '\0'; /* not on USB */
	assert_says(AS_EXPECTED);
}

static void
what_was_not_measured_yet_does_not_differ(void **state)
{
	(void)state;
	frame_stats_init(&frame_stats);
	key.ekey.telemetry = (struct telemetry){0};
	key.ekey.session = (struct session_counters){0};
	assert_says(AS_EXPECTED);
}

static void
each_difference_is_named(void **state)
{
	(void)state;
	strstr(description, "12 Mbit")[1] = '8';
	assert_differs("USB descriptors");
	strstr(description, "endpoint 81")[10] = '2';
	assert_differs("USB descriptors");
	key.serves = false;
	assert_differs("state");
	frame_stats.ask_ms = (struct frame_stats_span){2, 2001, 2001, 3000};
	assert_differs("reset to first k");
	frame_stats.interval_ms = (struct frame_stats_span){2, 39999, 100, 39999};
	assert_differs("answer to answer");
	frame_stats.blocks_per_s = (struct frame_stats_span){9, 101, 101, 120};
	assert_differs("entropy frames a second");
	frame_stats.blocks_per_s = (struct frame_stats_span){9, 69, 60, 69};
	assert_differs("entropy frames a second");
	frame_stats.types['Q'].unverified = 1;
	assert_differs("types of frames");
	frame_stats.types[0].unverified = 1;
	assert_differs("types of frames");
	subcodes('S', 1, 1);
	assert_differs("sub-codes");
	subcodes('K', 11, 12);
	assert_differs("sub-codes");
	subcodes('E', 1, 4095);
	assert_differs("sub-codes");
	key.ekey.session.frames_malformed = 1;
	assert_differs("frames that are not good");
	key.ekey.session.frames_replayed = 1;
	assert_differs("frames that are not good");
	key.ekey.session.frames_bad_mac = 51;
	assert_differs("frames that are not good");
	key.ekey.telemetry.temp_decikelvin = 3531;
	assert_differs("temperature");
	key.ekey.telemetry.voltage_mv = 2999;
	assert_differs("voltage");
	key.ekey.telemetry.badness = 'A';
	assert_differs("self-tests");
	key.intake.alarms = 1;
	assert_differs("self-tests");
}

static void
information_that_never_comes_is_a_difference(void **state)
{
	(void)state;
	key.ekey.telemetry = (struct telemetry){0};
	assert_differs("temperature, voltage, self-tests");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_as_the_protocol_has_it_is_as_expected),
		TEST(what_was_not_measured_yet_does_not_differ),
		TEST(each_difference_is_named),
		TEST(information_that_never_comes_is_a_difference),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
