/* SPDX-License-Identifier: MIT */
/* What a report says of a key's descriptors: those of the simulated key, and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "backend/usb/usb_descriptor.h"
#include "tests/sim/usb_descriptors.h"

#define TEXT_MAX 4096

static const char expected[] =
	"device 20df:0001 release 0200, USB 0200, class 02/00/00\n"
	"control packets 64 bytes, strings 1 2 3, configurations 1\n"
	"configuration 1: 67 bytes, 2 interfaces, string 0, attributes 80, 76 mA\n"
	"interface 0 setting 0: 1 endpoints, class 02/02/01, string 0\n"
	"descriptor 24: 00 10 01\n"
	"descriptor 24: 01 00 01\n"
	"descriptor 24: 02 02\n"
	"descriptor 24: 06 00 01\n"
	"endpoint 82: interrupt, packets 8 bytes, interval 255\n"
	"interface 1 setting 0: 2 endpoints, class 0a/00/00, string 0\n"
	"endpoint 03: bulk, packets 64 bytes, interval 0\n"
	"endpoint 81: bulk, packets 64 bytes, interval 0\n";

/* As usbfs gives them: the device's, then those of its configuration. */
static size_t
key_descriptors(uint8_t ret[static 2 * USB_DESCRIPTOR_MAX])
{
	size_t len = usb_descriptor(USB_DESCRIPTOR_DEVICE, 0, "SERIAL", ret);

	return len + usb_descriptor(USB_DESCRIPTOR_CONFIGURATION, 0, "SERIAL", ret + len);
}

static void
each_descriptor_of_a_key_is_a_line(void **state)
{
	uint8_t bytes[2 * USB_DESCRIPTOR_MAX];
	size_t len = key_descriptors(bytes);
	char text[TEXT_MAX];

	(void)state;
	usb_describe(bytes, len, text, sizeof(text));
	assert_string_equal(text, expected);
}

/* Into a buffer of each size: nothing is written beyond it, and no line is cut. */
static void
text_that_does_not_fit_is_cut_between_lines(void **state)
{
	uint8_t bytes[2 * USB_DESCRIPTOR_MAX];
	size_t len = key_descriptors(bytes);

	(void)state;
	usb_describe(bytes, len, NULL, 0);
	for (size_t cap = 1; cap <= sizeof(expected); cap++) {
		char *text = malloc(cap);

		usb_describe(bytes, len, text, cap);
		assert_true(strlen(text) < cap);
		assert_true(text[0] == '\0' || text[strlen(text) - 1] == '\n');
		free(text);
	}
}

static void
descriptors_cut_short_at_each_length_are_told_as_far_as_they_go(void **state)
{
	uint8_t whole[2 * USB_DESCRIPTOR_MAX];
	size_t whole_len = key_descriptors(whole);

	(void)state;
	for (size_t len = 0; len < whole_len; len++) {
		uint8_t *bytes = malloc(len + 1); /* so that a sanitizer sees a read too far */
		char text[TEXT_MAX], *last;

		memcpy(bytes, whole, len);
		usb_describe(bytes, len, text, sizeof(text));
		last = strstr(text, " bytes that are no descriptor\n");
		if (last != NULL)
			while (last > text && last[-1] != '\n')
				last--;
		assert_memory_equal(text, expected,
				    last != NULL ? (size_t)(last - text) : strlen(text));
		free(bytes);
	}
}

static void
what_is_too_short_for_its_type_is_told_in_hex(void **state)
{
	static const uint8_t bytes[] = {4, 1, 0xab, 0xcd, 3, 5, 0x81, 2, 2, 0, 0};
	char text[TEXT_MAX];

	(void)state;
	usb_describe(bytes, sizeof(bytes), text, sizeof(text));
	assert_string_equal(text, "descriptor 01: ab cd\n"
				  "descriptor 05: 81\n"
				  "descriptor 02:\n"
				  "2 bytes that are no descriptor\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_descriptor_of_a_key_is_a_line),
		cmocka_unit_test(text_that_does_not_fit_is_cut_between_lines),
		cmocka_unit_test(descriptors_cut_short_at_each_length_are_told_as_far_as_they_go),
		cmocka_unit_test(what_is_too_short_for_its_type_is_told_in_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
