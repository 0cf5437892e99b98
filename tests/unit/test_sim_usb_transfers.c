/* SPDX-License-Identifier: MIT */
/* The USB side of the simulated key, from the host's USB/IP messages to its answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/usb_transfers.h"

#define SERIAL "NwBvBlg3OTBJORFD"
#define BULK_IN 1
#define BULK_OUT 3
#define NOTIFY 2

#define RET_SUBMIT 3
#define RET_UNLINK 4

/* A host, and what it was answered since it last looked. */
static struct {
	struct faults faults;
	struct usb_device device;
	struct usb_transfers transfers;
	size_t len;
	uint8_t bytes[1 << 16];
} rig;

static uint8_t frames[40 * USB_PACKET_LEN];

static void catch (void *arg, const void *some, size_t len)
{
	(void)arg;
	assert_true(len <= sizeof(rig.bytes) - rig.len);
	memcpy(rig.bytes + rig.len, some, len);
	rig.len += len;
}

static uint32_t
word(size_t at)
{
	return (uint32_t)rig.bytes[at] << 24 | (uint32_t)rig.bytes[at + 1] << 16 |
	       (uint32_t)rig.bytes[at + 2] << 8 | rig.bytes[at + 3];
}

static struct usbip_command
header(uint32_t command, uint32_t sequence, bool in, uint8_t endpoint, uint32_t len)
{
	uint8_t bytes[USBIP_HEADER_LEN] = {0};
	struct usbip_command c;

	bytes[3] = (uint8_t)command;
	bytes[7] = (uint8_t)sequence;
	bytes[15] = in;
	bytes[19] = endpoint;
	bytes[26] = (uint8_t)(len >> 8);
	bytes[27] = (uint8_t)len;
	assert_true(usbip_parse(bytes, &c));
	return c;
}

static void
submit(uint32_t sequence, bool in, uint8_t endpoint, uint32_t len, const char *data)
{
	struct usbip_command c = header(USBIP_SUBMIT, sequence, in, endpoint, len);
	struct urb *u = urb_new(sequence, len);

	if (data != NULL)
		memcpy(u->data, data, len);
	usb_transfers_submit(&rig.transfers, &c, u);
}

static void
control(uint32_t sequence, const char setup[static 8], const char *data, uint32_t len)
{
	bool in = (uint8_t)setup[0] & 0x80;
	struct usbip_command c = header(USBIP_SUBMIT, sequence, in, 0, len);
	struct urb *u = urb_new(sequence, len);

	memcpy(c.setup, setup, sizeof(c.setup));
	if (data != NULL)
		memcpy(u->data, data, len);
	usb_transfers_submit(&rig.transfers, &c, u);
}

static void
unlink_one(uint32_t sequence, uint32_t which)
{
	struct usbip_command c = {.kind = USBIP_UNLINK, .sequence = sequence, .unlink = which};

	usb_transfers_unlink(&rig.transfers, &c);
}

/* The next answer; its payload stays in place for assert_payload(). */
static void
assert_answer(uint32_t kind, uint32_t sequence, int status, size_t done)
{
	assert_true(rig.len >= USBIP_HEADER_LEN);
	assert_int_equal(word(0), kind);
	assert_int_equal(word(4), sequence);
	assert_int_equal((int32_t)word(20), status);
	if (kind == RET_SUBMIT)
		assert_int_equal(word(24), done);
}

static void
drop_answer(size_t payload)
{
	size_t len = USBIP_HEADER_LEN + payload;

	assert_true(rig.len >= len);
	rig.len -= len;
	memmove(rig.bytes, rig.bytes + len, rig.len);
}

static void
assert_got(uint32_t sequence, const uint8_t *bytes, size_t len)
{
	assert_answer(RET_SUBMIT, sequence, 0, len);
	assert_memory_equal(rig.bytes + USBIP_HEADER_LEN, bytes, len);
	drop_answer(len);
}

static void
assert_status(uint32_t sequence, int status)
{
	assert_answer(RET_SUBMIT, sequence, status, 0);
	drop_answer(0);
}

/* The device offers its stream until the host asks no more; returns how much of it went. */
static size_t
offer(size_t at, size_t len)
{
	size_t before = at;

	for (size_t given = 1; given > 0 && at < len; at += given)
		given = usb_transfers_give(&rig.transfers, frames + at, len - at);
	return at - before;
}

static void
configure(void)
{
	control(1, "\x00\x09\x01\x00\x00\x00\x00", NULL, 0);
	assert_status(1, 0);
}

static void
plug_in(enum fault kind, uint64_t setting)
{
	uint64_t settings[FAULT_KINDS] = {0};

	settings[kind] = setting;
	faults_init(&rig.faults, settings, 1);
	usb_device_init(&rig.device, &rig.faults, SERIAL, kind == FAULT_KINDS - 1);
	usb_transfers_init(&rig.transfers, &rig.device, catch, NULL);
	configure();
}

static int
fresh_rig(void **state)
{
	(void)state;
	rig.len = 0;
	for (size_t i = 0; i < sizeof(frames); i++)
		frames[i] = (uint8_t)(i ^ i >> 8);
	plug_in(FAULT_USB_STALL, 0);
	return 0;
}

static int
finish_rig(void **state)
{
	(void)state;
	usb_transfers_drop(&rig.transfers);
	return 0;
}

/* ---- a bus without faults ---- */

static void
transfer_of_one_packet_returns_with_one_frame(void **state)
{
	(void)state;
	submit(2, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 640), 64);
	assert_got(2, frames, 64);
	assert_int_equal(rig.len, 0);
}

static void
longer_transfer_waits_until_it_is_full(void **state)
{
	(void)state;
	submit(2, true, BULK_IN, 256, NULL);
	assert_int_equal(offer(0, 128), 128);
	assert_int_equal(rig.len, 0);
	assert_int_equal(offer(128, 640), 128);
	assert_got(2, frames, 256);
}

static void
short_packet_ends_a_transfer(void **state)
{
	(void)state;
	submit(2, true, BULK_IN, 256, NULL);
	assert_int_equal(offer(0, 100), 100);
	assert_got(2, frames, 100);
}

static void
transfer_shorter_than_a_packet_is_babble(void **state)
{
	(void)state;
	submit(2, true, BULK_IN, 32, NULL);
	assert_int_equal(offer(0, 64), 0);
	assert_status(2, -EOVERFLOW);
}

static void
what_the_host_writes_comes_in_packets_and_in_order(void **state)
{
	uint8_t packet[64];

	(void)state;
	submit(2, false, BULK_OUT, 18, "Kabcdefghijklmnop.");
	submit(3, false, BULK_OUT, 1, "\003");
	assert_int_equal(rig.len, 0); /* not before the device took it */
	assert_int_equal(usb_transfers_take(&rig.transfers, packet, 10), 10);
	assert_memory_equal(packet, "Kabcdefghi", 10);
	assert_int_equal(rig.len, 0);
	assert_int_equal(usb_transfers_take(&rig.transfers, packet, 64), 8);
	assert_answer(RET_SUBMIT, 2, 0, 18);
	drop_answer(0);
	assert_int_equal(usb_transfers_take(&rig.transfers, packet, 64), 1);
	assert_answer(RET_SUBMIT, 3, 0, 1);
	assert_false(usb_transfers_may_take(&rig.transfers));
}

static void
unlinked_transfer_gives_what_it_has(void **state)
{
	(void)state;
	submit(2, true, BULK_IN, 256, NULL);
	submit(3, true, BULK_IN, 256, NULL);
	assert_int_equal(offer(0, 64), 64);
	unlink_one(4, 2);
	assert_got(2, frames, 64);
	assert_answer(RET_UNLINK, 4, 0, 0);
	drop_answer(0);
	unlink_one(5, 3);
	assert_answer(RET_UNLINK, 5, -ECONNRESET, 0);
	drop_answer(0);
	unlink_one(6, 3);
	assert_answer(RET_UNLINK, 6, 0, 0);
	assert_int_equal(rig.len, USBIP_HEADER_LEN);
}

static void
notifications_never_come(void **state)
{
	(void)state;
	submit(2, true, NOTIFY, 8, NULL);
	assert_int_equal(offer(0, 64), 0);
	assert_int_equal(rig.len, 0);
	unlink_one(3, 2);
	assert_answer(RET_UNLINK, 3, -ECONNRESET, 0);
}

static void
nothing_moves_before_the_host_has_configured(void **state)
{
	(void)state;
	usb_device_replug(&rig.device);
	submit(2, true, BULK_IN, 64, NULL);
	submit(3, false, BULK_OUT, 1, "\003");
	assert_false(usb_transfers_may_give(&rig.transfers));
	assert_false(usb_transfers_may_take(&rig.transfers));
	assert_int_equal(offer(0, 64), 0);
	configure();
	assert_int_equal(offer(0, 64), 64);
}

static void
descriptors_are_cut_to_what_was_asked(void **state)
{
	uint8_t want[USB_DESCRIPTOR_MAX];

	(void)state;
	usb_descriptor(USB_DESCRIPTOR_CONFIGURATION, 0, SERIAL, want);
	control(2, "\x80\x06\x00\x02\x00\x00\x09", NULL, 9);
	assert_got(2, want, 9);
	control(3, "\x80\x06\x00\x02\x00\x00\xff", NULL, 255);
	assert_got(3, want, 67);
	control(4, "\x80\x06\x00\x06\x00\x00\x0a", NULL, 10);
	assert_status(4, -EPIPE);
}

static void
line_coding_is_kept_and_class_requests_are_counted(void **state)
{
	static const char coding[] = {0x00, (char)0xc2, 0x01, 0, 0, 0, 8};

	(void)state;
	control(2, "\x21\x20\x00\x00\x00\x00\x07", coding, 7);
	assert_answer(RET_SUBMIT, 2, 0, 7);
	drop_answer(0);
	control(3, "\xa1\x21\x00\x00\x00\x00\x07", NULL, 7);
	assert_got(3, (const uint8_t *)coding, 7);
	assert_int_equal(rig.device.counters.class_requests, 2);
	assert_int_equal(rig.device.counters.line_states, 0);
}

/* ---- faults ---- */

static void
stall_lasts_until_the_host_clears_it(void **state)
{
	(void)state;
	plug_in(FAULT_USB_STALL, 3);
	for (uint32_t i = 2; i < 8; i++)
		submit(i, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 640), 128);
	assert_got(2, frames, 64);
	assert_got(3, frames + 64, 64);
	assert_status(4, -EPIPE);
	assert_int_equal(offer(128, 640), 0);
	assert_status(5, -EPIPE);
	control(9, "\x02\x01\x00\x00\x81\x00\x00", NULL, 0);
	assert_status(9, 0);
	assert_int_equal(rig.device.counters.halts_cleared, 1);
	assert_int_equal(offer(128, 640), 128);
	assert_got(6, frames + 128, 64);
	assert_int_equal(rig.faults.done[FAULT_USB_STALL], 1);
}

/* The third packet is hit; what the transfer had before comes with the error. */
static void
assert_error_loses_nothing(enum fault kind, int status)
{
	plug_in(kind, 3);
	submit(2, true, BULK_IN, 256, NULL);
	submit(3, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 640), 128);
	assert_answer(RET_SUBMIT, 2, status, 128);
	assert_memory_equal(rig.bytes + USBIP_HEADER_LEN, frames, 128);
	drop_answer(128);
	assert_int_equal(offer(128, 640), 64);
	assert_got(3, frames + 128, 64);
	assert_int_equal(rig.faults.done[kind], 1);
}

static void
eproto_ends_a_transfer_and_loses_nothing(void **state)
{
	(void)state;
	assert_error_loses_nothing(FAULT_USB_EPROTO, -EPROTO);
}

static void
overflow_ends_a_transfer_and_loses_nothing(void **state)
{
	(void)state;
	assert_error_loses_nothing(FAULT_USB_OVERFLOW, -EOVERFLOW);
}

static void
zero_packet_ends_a_transfer_that_has_nothing(void **state)
{
	(void)state;
	plug_in(FAULT_USB_ZERO, 2);
	for (uint32_t i = 2; i < 5; i++)
		submit(i, true, BULK_IN, 64, NULL);
	assert_int_equal(usb_transfers_give(&rig.transfers, frames, 640), 64);
	assert_int_equal(usb_transfers_give(&rig.transfers, frames + 64, 576), 0);
	assert_int_equal(usb_transfers_give(&rig.transfers, frames + 64, 576), 64);
	assert_got(2, frames, 64);
	assert_got(3, frames, 0);
	assert_got(4, frames + 64, 64);
}

static void
short_packets_cut_frames_and_lose_nothing(void **state)
{
	size_t at = 0, shorts = 0;

	(void)state;
	plug_in(FAULT_USB_SHORT, 3);
	for (uint32_t i = 0; at < sizeof(frames) - USB_PACKET_LEN; i++) {
		size_t len;

		submit(2 + i % 200, true, BULK_IN, 64, NULL);
		len = usb_transfers_give(&rig.transfers, frames + at, sizeof(frames) - at);
		assert_in_range(len, 1, USB_PACKET_LEN);
		assert_got(2 + i % 200, frames + at, len);
		shorts += len < USB_PACKET_LEN;
		at += len;
	}
	assert_int_equal(shorts, rig.faults.done[FAULT_USB_SHORT]);
	assert_true(shorts >= 12);
}

static void
mute_device_talks_again_after_a_reset(void **state)
{
	(void)state;
	plug_in(FAULT_USB_NAK, 2);
	for (uint32_t i = 2; i < 6; i++)
		submit(i, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 640), 128);
	drop_answer(64);
	drop_answer(64);
	assert_false(usb_transfers_may_give(&rig.transfers));
	assert_int_equal(offer(128, 640), 0);
	configure();
	assert_int_equal(offer(128, 640), 128);
	assert_int_equal(rig.faults.done[FAULT_USB_NAK], 1);
}

static void
dead_firmware_answers_nothing_until_it_is_replugged(void **state)
{
	(void)state;
	plug_in(FAULT_USB_DEAD, 1);
	submit(2, true, BULK_IN, 64, NULL);
	submit(3, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 640), 64);
	drop_answer(64);
	control(4, "\x80\x08\x00\x00\x00\x00\x01", NULL, 1);
	submit(5, false, BULK_OUT, 1, "S");
	assert_false(usb_transfers_may_take(&rig.transfers));
	assert_int_equal(rig.len, 0);
	usb_transfers_drop(&rig.transfers);
	usb_device_replug(&rig.device);
	configure();
	submit(6, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(64, 128), 64);
	assert_int_equal(rig.faults.done[FAULT_USB_DEAD], 1);
}

static void
line_state_kills_strict_firmware_until_it_is_replugged(void **state)
{
	(void)state;
	rig.device.strict = true;
	submit(2, true, BULK_IN, 64, NULL);
	control(3, "\x21\x22\x03\x00\x00\x00\x00", NULL, 0);
	control(4, "\x80\x06\x00\x01\x00\x00\x12", NULL, 18);
	assert_int_equal(offer(0, 64), 0);
	assert_int_equal(rig.len, 0);
	assert_int_equal(rig.device.counters.line_states, 1);
	usb_transfers_drop(&rig.transfers);
	usb_device_replug(&rig.device);
	configure();
	submit(5, true, BULK_IN, 64, NULL);
	assert_int_equal(offer(0, 64), 64);
}

#define USB_TEST(name) cmocka_unit_test_setup_teardown(name, fresh_rig, finish_rig)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		USB_TEST(transfer_of_one_packet_returns_with_one_frame),
		USB_TEST(longer_transfer_waits_until_it_is_full),
		USB_TEST(short_packet_ends_a_transfer),
		USB_TEST(transfer_shorter_than_a_packet_is_babble),
		USB_TEST(what_the_host_writes_comes_in_packets_and_in_order),
		USB_TEST(unlinked_transfer_gives_what_it_has),
		USB_TEST(notifications_never_come),
		USB_TEST(nothing_moves_before_the_host_has_configured),
		USB_TEST(descriptors_are_cut_to_what_was_asked),
		USB_TEST(line_coding_is_kept_and_class_requests_are_counted),
		USB_TEST(stall_lasts_until_the_host_clears_it),
		USB_TEST(eproto_ends_a_transfer_and_loses_nothing),
		USB_TEST(overflow_ends_a_transfer_and_loses_nothing),
		USB_TEST(zero_packet_ends_a_transfer_that_has_nothing),
		USB_TEST(short_packets_cut_frames_and_lose_nothing),
		USB_TEST(mute_device_talks_again_after_a_reset),
		USB_TEST(dead_firmware_answers_nothing_until_it_is_replugged),
		USB_TEST(line_state_kills_strict_firmware_until_it_is_replugged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
