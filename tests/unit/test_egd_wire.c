/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "egd/egd_wire.h"

/* Every request once, an add with bytes that look like requests. */
static const uint8_t all_requests[] = {0x00, 0x01, 0x10, 0x02, 0xff, 0x03, 0x00,
				       0x20, 0x02, 0x04, 0x07, 0x04, 0x02, 0x00};
static const struct egd_request all_meant[] = {{EGD_GET_COUNT, 0}, {EGD_READ_NB, 0x10},
					       {EGD_READ, 0xff},   {EGD_WRITE, 2},
					       {EGD_GET_PID, 0},   {EGD_READ, 0}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
requests_are_read_in_their_order(void **unused)
{
	struct cursor in = cursor_over(all_requests, sizeof(all_requests));
	struct egd_request request;

	(void)unused;
	for (size_t i = 0; i < COUNT(all_meant); i++) {
		assert_int_equal(egd_wire_request(&in, &request), EGD_WHOLE);
		assert_int_equal(request.op, all_meant[i].op);
		assert_int_equal(request.len, all_meant[i].len);
	}
	assert_int_equal(egd_wire_request(&in, &request), EGD_PARTIAL);
	assert_int_equal(in.left, 0);
}

/* However the stream is cut, an incomplete request stays in it. */
static void
a_request_cut_anywhere_is_partial_and_stays(void **unused)
{
	(void)unused;
	for (size_t len = 0; len <= sizeof(all_requests); len++) {
		struct cursor in = cursor_over(all_requests, len);
		struct egd_request request;
		size_t whole = 0;

		while (egd_wire_request(&in, &request) == EGD_WHOLE)
			assert_int_equal(request.op, all_meant[whole++].op);
		assert_true(whole <= COUNT(all_meant));
		in = cursor_over(in.at, in.left + sizeof(all_requests) - len);
		while (egd_wire_request(&in, &request) == EGD_WHOLE)
			assert_int_equal(request.op, all_meant[whole++].op);
		assert_int_equal(whole, COUNT(all_meant));
	}
}

static void
unknown_request_is_bad_by_its_first_byte(void **unused)
{
	(void)unused;
	for (unsigned first = 0; first <= 0xff; first++) {
		const uint8_t bytes[EGD_REQUEST_MAX] = {(uint8_t)first};
		struct cursor in = cursor_over(bytes, sizeof(bytes));
		struct egd_request request;

		assert_int_equal(egd_wire_request(&in, &request),
				 first <= EGD_GET_PID ? EGD_WHOLE : EGD_BAD);
		if (first > EGD_GET_PID)
			assert_int_equal(in.left, sizeof(bytes));
	}
}

static void
the_longest_add_fits_into_a_request(void **unused)
{
	uint8_t bytes[EGD_REQUEST_MAX] = {EGD_WRITE, 0xff, 0xff, 0xff};
	struct cursor in = cursor_over(bytes, sizeof(bytes));
	struct egd_request request;

	(void)unused;
	assert_int_equal(egd_wire_request(&in, &request), EGD_WHOLE);
	assert_int_equal(in.left, 0);
	in = cursor_over(bytes, sizeof(bytes) - 1);
	assert_int_equal(egd_wire_request(&in, &request), EGD_PARTIAL);
}

/* doc/egd.md 1: 4,096 bytes are 00008000 on the wire. */
static void
level_is_in_bits_and_never_wraps(void **unused)
{
	uint8_t reply[EGD_LEVEL_LEN];

	(void)unused;
	egd_wire_put_level(4096, reply);
	assert_memory_equal(reply, "\x00\x00\x80\x00", 4);
	egd_wire_put_level(UINT32_MAX / 8, reply);
	assert_memory_equal(reply, "\xff\xff\xff\xf8", 4);
	egd_wire_put_level(UINT64_C(1) << 29, reply);
	assert_memory_equal(reply, "\xff\xff\xff\xff", 4);
	egd_wire_put_level(UINT64_MAX, reply);
	assert_memory_equal(reply, "\xff\xff\xff\xff", 4);
}

static void
process_id_is_in_digits(void **unused)
{
	uint8_t reply[EGD_PID_MAX];

	(void)unused;
	assert_int_equal(egd_wire_put_pid(0, reply), 2);
	assert_memory_equal(reply,
			    "\x01"
			    "0",
			    2);
	assert_int_equal(egd_wire_put_pid(4194304, reply), 8);
	assert_memory_equal(reply,
			    "\x07"
			    "4194304",
			    8);
	assert_int_equal(egd_wire_put_pid(UINT64_MAX, reply), EGD_PID_MAX);
	assert_memory_equal(reply,
			    "\x14"
			    "18446744073709551615",
			    EGD_PID_MAX);
}

static void
written_requests_are_read_back_the_same(void **unused)
{
	const struct egd_request asked[] = {{EGD_GET_COUNT, 0}, {EGD_READ, 255}, {EGD_GET_PID, 0}};

	(void)unused;
	for (size_t i = 0; i < COUNT(asked); i++) {
		uint8_t bytes[EGD_ASK_LEN];
		struct cursor in = cursor_over(bytes, egd_wire_put_request(asked[i], bytes));
		struct egd_request read;

		assert_int_equal(egd_wire_request(&in, &read), EGD_WHOLE);
		assert_int_equal(read.op, asked[i].op);
		assert_int_equal(read.len, asked[i].len);
		assert_int_equal(in.left, 0);
	}
}

struct exchange {
	enum egd_op asked;
	const char *reply;
	size_t len;
	size_t want_at, want_len; /* of the bytes that it carries */
};

static void
a_reply_is_whole_at_its_last_byte_and_not_before(void **unused)
{
	static const struct exchange all[] = {
		{EGD_GET_COUNT, "\x00\x00\x80\x00", 4, 0, 4},
		{EGD_GET_PID,
		 "\x03"
		 "123",
		 4, 1, 3},
		{EGD_GET_PID, "\x02-1", 3, 1, 2}, /* ekeyd's */
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct egd_reply reply;
		struct cursor in;

		for (size_t len = 0; len < all[i].len; len++) {
			in = cursor_over(all[i].reply, len);
			assert_int_equal(egd_wire_reply(all[i].asked, &in, &reply), EGD_PARTIAL);
			assert_int_equal(in.left, len);
		}
		in = cursor_over(all[i].reply, all[i].len);
		assert_int_equal(egd_wire_reply(all[i].asked, &in, &reply), EGD_WHOLE);
		assert_int_equal(in.left, 0);
		assert_ptr_equal(reply.bytes, all[i].reply + all[i].want_at);
		assert_int_equal(reply.len, all[i].want_len);
		assert_int_equal(reply.bits, all[i].asked == EGD_GET_COUNT ? 32768 : 0);
	}
}

static void
pid_of_too_many_characters_is_no_reply(void **unused)
{
	struct cursor in = cursor_over("\x15"
				       "123456789012345678901",
				       22);
	struct egd_reply reply;

	(void)unused;
	assert_int_equal(egd_wire_reply(EGD_GET_PID, &in, &reply), EGD_BAD);
	assert_int_equal(in.left, 22);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_in_their_order),
		cmocka_unit_test(a_request_cut_anywhere_is_partial_and_stays),
		cmocka_unit_test(unknown_request_is_bad_by_its_first_byte),
		cmocka_unit_test(the_longest_add_fits_into_a_request),
		cmocka_unit_test(level_is_in_bits_and_never_wraps),
		cmocka_unit_test(process_id_is_in_digits),
		cmocka_unit_test(written_requests_are_read_back_the_same),
		cmocka_unit_test(a_reply_is_whole_at_its_last_byte_and_not_before),
		cmocka_unit_test(pid_of_too_many_characters_is_no_reply),
	};

	return cmocka_run_group_tests_name("egd_wire", tests, NULL, NULL);
}
