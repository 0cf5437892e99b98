/* SPDX-License-Identifier: MIT */
/* The key's descriptors, read as a host does: libusb by classes and endpoints, cdc_acm by unions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/usb_descriptors.h"

#define SERIAL "NwBvBlg3OTBJORFD"

#define INTERFACE 4
#define ENDPOINT 5
#define CS_INTERFACE 0x24
#define UNION 6

static uint8_t bytes[USB_DESCRIPTOR_MAX];

static size_t
get(uint8_t type, uint8_t index)
{
	memset(bytes, 0xee, sizeof(bytes));
	return usb_descriptor(type, index, SERIAL, bytes);
}

/* The n-th descriptor of this type inside the configuration, or NULL. */
static const uint8_t *
part(uint8_t type, int n)
{
	size_t len = get(USB_DESCRIPTOR_CONFIGURATION, 0);

	for (size_t at = 0; at < len; at += bytes[at]) {
		assert_true(bytes[at] >= 2 && at + bytes[at] <= len);
		if (bytes[at + 1] == type && n-- == 0)
			return bytes + at;
	}
	return NULL;
}

static void
device_is_an_entropy_key(void **state)
{
	(void)state;
	assert_int_equal(get(USB_DESCRIPTOR_DEVICE, 0), 18);
	assert_int_equal(bytes[0], 18);
	assert_int_equal(bytes[1], USB_DESCRIPTOR_DEVICE);
	assert_int_equal(bytes[4], 2);  /* communications */
	assert_int_equal(bytes[7], 64); /* bytes of endpoint 0's packets */
	assert_int_equal(bytes[8] | bytes[9] << 8, 0x20df);
	assert_int_equal(bytes[10] | bytes[11] << 8, 0x0001);
	assert_int_equal(bytes[17], 1);
}

static void
configuration_has_the_length_that_it_says(void **state)
{
	size_t len = get(USB_DESCRIPTOR_CONFIGURATION, 0), at = 0;

	(void)state;
	assert_int_equal(bytes[2] | bytes[3] << 8, len);
	assert_int_equal(bytes[8] * 2, 76); /* mA */
	while (at < len && bytes[at] > 0)
		at += bytes[at];
	assert_int_equal(at, len);
}

static void
libusb_finds_the_bulk_endpoints_of_the_data_interface(void **state)
{
	const uint8_t *data = part(INTERFACE, 1), *out, *in;

	(void)state;
	assert_non_null(data);
	assert_int_equal(data[2], 1);
	assert_int_equal(data[4], 2);
	assert_int_equal(data[5], 0x0a);
	out = part(ENDPOINT, 1);
	assert_int_equal(out[2], 0x03);
	assert_int_equal(out[3], 2);
	assert_int_equal(out[4] | out[5] << 8, 64);
	in = part(ENDPOINT, 2);
	assert_int_equal(in[2], 0x81);
	assert_int_equal(in[3], 2);
	assert_int_equal(in[4] | in[5] << 8, 64);
	assert_null(part(ENDPOINT, 3));
}

static void
cdc_acm_finds_the_data_interface_by_the_union(void **state)
{
	const uint8_t *control = part(INTERFACE, 0), *notify;
	const uint8_t *join = NULL;

	(void)state;
	assert_int_equal(control[2], 0);
	assert_memory_equal(control + 5, "\x02\x02\x01", 3); /* communications, ACM, AT */
	for (int n = 0; (join = part(CS_INTERFACE, n)) != NULL && join[2] != UNION;)
		n++;
	assert_non_null(join);
	assert_memory_equal(join + 3, "\x00\x01", 2);
	notify = part(ENDPOINT, 0);
	assert_int_equal(notify[2], 0x82);
	assert_int_equal(notify[3], 3);
}

static void
assert_string(uint8_t index, const char *text)
{
	size_t len = get(USB_DESCRIPTOR_STRING, index);

	assert_int_equal(len, 2 + 2 * strlen(text));
	assert_int_equal(bytes[0], len);
	assert_int_equal(bytes[1], USB_DESCRIPTOR_STRING);
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(bytes[2 + 2 * i] | bytes[3 + 2 * i] << 8, text[i]);
}

static void
strings_are_those_that_the_device_names(void **state)
{
	uint8_t names[3];

	(void)state;
	get(USB_DESCRIPTOR_DEVICE, 0);
	memcpy(names, bytes + 14, sizeof(names));
	assert_string(names[0], "Simtec Electronics");
	assert_string(names[1], "Entropy Key");
	assert_string(names[2], SERIAL);
	assert_int_equal(get(USB_DESCRIPTOR_STRING, 0), 4);
	assert_int_equal(bytes[2] | bytes[3] << 8, 0x0409);
}

static void
what_it_has_not_is_not_described(void **state)
{
	(void)state;
	assert_int_equal(get(USB_DESCRIPTOR_STRING, 4), 0);
	assert_int_equal(get(USB_DESCRIPTOR_DEVICE, 1), 0);
	assert_int_equal(get(6, 0), 0); /* of another speed: there is none */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_is_an_entropy_key),
		cmocka_unit_test(configuration_has_the_length_that_it_says),
		cmocka_unit_test(libusb_finds_the_bulk_endpoints_of_the_data_interface),
		cmocka_unit_test(cdc_acm_finds_the_data_interface_by_the_union),
		cmocka_unit_test(strings_are_those_that_the_device_names),
		cmocka_unit_test(what_it_has_not_is_not_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
