/* SPDX-License-Identifier: MIT */
/* The codec of USB/IP, against messages as Linux writes and reads them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/usbip.h"

/* CMD_SUBMIT 0x0d05, device 0x10000, in, endpoint 1, room for 64 bytes; from the kernel's own
 * description of the protocol. */
static const uint8_t submit_in[USBIP_HEADER_LEN] = {
	0, 0, 0, 1,    0,    0,    0x0d, 0x05, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 0,
	0, 0, 0, 0x40, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0,
};

static struct usbip_command command;

static uint8_t *
changed(size_t at, uint8_t value)
{
	static uint8_t header[USBIP_HEADER_LEN];

	memcpy(header, submit_in, sizeof(header));
	header[at] = value;
	return header;
}

static void
submitted_transfer_is_understood(void **state)
{
	(void)state;
	assert_true(usbip_parse(submit_in, &command));
	assert_int_equal(command.kind, USBIP_SUBMIT);
	assert_int_equal(command.sequence, 0x0d05);
	assert_true(command.in);
	assert_int_equal(command.endpoint, 1);
	assert_int_equal(command.len, 64);
	assert_int_equal(usbip_payload_len(&command), 0);
}

static void
transfer_out_brings_its_bytes(void **state)
{
	(void)state;
	assert_true(usbip_parse(changed(15, 0), &command));
	assert_false(command.in);
	assert_int_equal(usbip_payload_len(&command), 64);
}

static void
setup_is_the_last_eight_bytes(void **state)
{
	uint8_t header[USBIP_HEADER_LEN];

	(void)state;
	memcpy(header, submit_in, sizeof(header));
	memcpy(header + 40, "\x80\x06\x00\x01\x00\x00\x12\x00", 8);
	assert_true(usbip_parse(header, &command));
	assert_memory_equal(command.setup, header + 40, 8);
}

static void
unlink_names_its_transfer(void **state)
{
	uint8_t header[USBIP_HEADER_LEN] = {[3] = 2, [7] = 9, [22] = 0x0d, [23] = 0x05};

	(void)state;
	assert_true(usbip_parse(header, &command));
	assert_int_equal(command.kind, USBIP_UNLINK);
	assert_int_equal(command.sequence, 9);
	assert_int_equal(command.unlink, 0x0d05);
	assert_int_equal(usbip_payload_len(&command), 0);
}

static void
what_no_key_can_do_is_refused(void **state)
{
	(void)state;
	assert_false(usbip_parse(changed(3, 0), &command));
	assert_false(usbip_parse(changed(3, 3), &command));   /* an answer */
	assert_false(usbip_parse(changed(15, 2), &command));  /* neither in nor out */
	assert_false(usbip_parse(changed(19, 16), &command)); /* no such endpoint */
	assert_false(usbip_parse(changed(24, 0x80), &command));
	assert_false(usbip_parse(changed(25, 0x11), &command)); /* more than there is room for */
	assert_false(usbip_parse(changed(35, 1), &command));    /* isochronous */
}

static void
answers_are_as_linux_reads_them(void **state)
{
	static const uint8_t returned[USBIP_HEADER_LEN] = {
		[3] = 3,     [6] = 0x0d,  [7] = 0x05,  [20] = 0xff,
		[21] = 0xff, [22] = 0xff, [23] = 0xe0, [27] = 7,
	};
	static const uint8_t unlinked[USBIP_HEADER_LEN] = {
		[3] = 4, [7] = 9, [20] = 0xff, [21] = 0xff, [22] = 0xff, [23] = 0x98,
	};
	uint8_t header[USBIP_HEADER_LEN];

	(void)state;
	usbip_returned(0x0d05, -EPIPE, 7, header);
	assert_memory_equal(header, returned, sizeof(header));
	usbip_unlinked(9, -ECONNRESET, header);
	assert_memory_equal(header, unlinked, sizeof(header));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(submitted_transfer_is_understood),
		cmocka_unit_test(transfer_out_brings_its_bytes),
		cmocka_unit_test(setup_is_the_last_eight_bytes),
		cmocka_unit_test(unlink_names_its_transfer),
		cmocka_unit_test(what_no_key_can_do_is_refused),
		cmocka_unit_test(answers_are_as_linux_reads_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
