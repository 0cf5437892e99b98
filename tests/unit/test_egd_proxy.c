/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "egd/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct example {
	const char *bytes;
	size_t len;
	const char *client; /* "": the proxy speaks for itself */
};

/* What HAProxy 2.6 sent (doc/egd.md 1), and what else its specification allows. */
static const struct example good[] = {
	{BYTES("PROXY TCP4 127.0.0.1 127.0.9.9 40666 8021\r\n"), "127.0.0.1:40666"},
	{BYTES("PROXY TCP6 ::1 ::1 46398 8021\r\n"), "[::1]:46398"},
	{BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.9 4000 8021\r\n"), "192.0.2.7:4000"},
	{BYTES("PROXY UNKNOWN\r\n"), ""},
	{BYTES("PROXY UNKNOWN ffff:f::f ffff:f::f 65535 65535\r\n"), ""},
	{BYTES(V2 "\x21\x11\x00\x0c\x7f\0\0\x01\x7f\0\x09\x09\xa5\x82\x1f\x4c"), "127.0.0.1:42370"},
	{BYTES(V2 "\x20\x00\x00\x00"), ""},
	{BYTES(V2 "\x20\x11\x00\x0c\x7f\0\0\x01\x7f\0\x09\x09\xa5\x82\x1f\x4c"), ""},
	/* Of a Unix socket: two paths of 108 bytes would follow; here with a shorter length. */
	{BYTES(V2 "\x21\x31\x00\x04"
		  "abcd"),
	 ""},
	/* TCP6 with the TLVs CRC32c and an empty unique id. */
	{BYTES(V2 "\x21\x21\x00\x2e"
		  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
		  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\xdc\x62\x1f\x56"
		  "\x03\x00\x04\xef\x31\x7e\x05\x05\x00\x00"),
	 "[2001:db8::7]:56418"},
	/* IPv4 in the form that it has on a socket for both. */
	{BYTES(V2 "\x21\x21\x00\x24"
		  "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"
		  "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x09\xdc\x62\x1f\x56"),
	 "192.0.2.7:56418"},
};

static const struct example bad[] = {
	{BYTES("\0"), NULL},
	{BYTES("GET / HTTP/1.1\r\n"), NULL},
	{BYTES("PROXY TCP4 127.0.0.1 127.0.9.9 40666 8021\n"), NULL},
	{BYTES("PROXY TCP4 127.0.0.1 127.0.9.9 40666\r\n"), NULL},
	{BYTES("PROXY TCP4 127.0.0.1 127.0.9.9 40666 8021 1\r\n"), NULL},
	{BYTES("PROXY TCP4 ::1 ::1 40666 8021\r\n"), NULL},
	{BYTES("PROXY TCP6 127.0.0.1 127.0.9.9 40666 8021\r\n"), NULL},
	{BYTES("PROXY TCP4 127.0.0.1 127.0.9.9 70000 8021\r\n"), NULL},
	{BYTES("PROXY TCP4 127.0.0.1 elsewhere 40666 8021\r\n"), NULL},
	{BYTES("PROXY TCP4\r\n"), NULL},
	{BYTES("PROXY \r\n"), NULL},
	{BYTES("PROXY UNKNOWN\0\r\n"), NULL},
	{BYTES("PROXY UDP4 127.0.0.1 127.0.9.9 40666 8021\r\n"), NULL},
	{BYTES(V2 "\x11\x11\x00\x0c\x7f\0\0\x01\x7f\0\x09\x09\xa5\x82\x1f\x4c"),
	 NULL}, /* version */
	{BYTES(V2 "\x22\x11\x00\x0c\x7f\0\0\x01\x7f\0\x09\x09\xa5\x82\x1f\x4c"),
	 NULL},                                           /* command */
	{BYTES(V2 "\x21\x11\x00\x04\x7f\0\0\x01"), NULL}, /* addresses cut short */
	{BYTES(V2 "\x21\x21\x00\x0c\x7f\0\0\x01\x7f\0\x09\x09\xa5\x82\x1f\x4c"), NULL},
	{BYTES(V2 "\x20\x00\x02\x09"), NULL}, /* 16 + 521 bytes: too long */
};

static void
a_good_header_says_for_whom_it_is(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(good); i++) {
		char more[EGD_PROXY_MAX] = "", text[ADDRESS_TEXT_MAX] = "";
		struct cursor in = cursor_over(more, good[i].len + 2);
		struct egd_proxy proxy;

		memcpy(more, good[i].bytes, good[i].len);
		memcpy(more + good[i].len, "\x02\x08", 2);
		assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_WHOLE);
		assert_int_equal(in.left, 2); /* the first request is left where it is */
		if (proxy.forwarded)
			address_text(&proxy.client, text);
		assert_string_equal(text, good[i].client);
	}
}

static void
a_header_cut_anywhere_is_partial_and_stays(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(good); i++) {
		for (size_t len = 0; len < good[i].len; len++) {
			struct cursor in = cursor_over(good[i].bytes, len);
			struct egd_proxy proxy;

			assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_PARTIAL);
			assert_int_equal(in.left, len);
		}
	}
}

static void
what_is_no_header_is_refused_and_stays(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct cursor in = cursor_over(bad[i].bytes, bad[i].len);
		struct egd_proxy proxy;

		assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_BAD);
		assert_int_equal(in.left, bad[i].len);
	}
}

static void
a_line_without_end_is_refused_at_its_limit(void **unused)
{
	char line[200];
	struct egd_proxy proxy;
	struct cursor in;

	(void)unused;
	memset(line, ' ', sizeof(line));
	memcpy(line, "PROXY UNKNOWN", 13);
	in = cursor_over(line, 106);
	assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_PARTIAL);
	in = cursor_over(line, 107);
	assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_BAD);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_WHOLE);
}

static void
a_header_is_known_by_its_first_byte(void **unused)
{
	(void)unused;
	for (unsigned first = 0; first <= 0xff; first++)
		assert_int_equal(egd_proxy_begins((uint8_t)first), first == 'P' || first == 0x0d);
}

/* ---- ekey-tls's ---- */

static void
what_ekey_tls_writes_is_read_whatever_it_is(void **state)
{
	static const char *const words[] = {"", "psk:web1", "a b\tc\xc3\xa9"};
	uint8_t bytes[EGD_PROXY_MAX];
	char longest[400];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < COUNT(words); i++) {
		struct cursor in = cursor_over(bytes, egd_proxy_put(words[i], longest, bytes));
		struct egd_proxy proxy;

		assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_WHOLE);
		assert_int_equal(in.left, 0);
		assert_false(proxy.forwarded);
		assert_string_equal(proxy.identity, i < 2 ? words[i] : "a b?c??");
		assert_int_equal(strlen(proxy.refusal), EGD_PROXY_WORDS_MAX - 1);
	}
}

/* Other proxies have fields of their own. */
static void
fields_that_are_not_ours_say_nothing_and_are_no_error(void **state)
{
	static const struct example fields[] = {
		{BYTES(V2 "\x20\x00\x00\x05\xe0\x00\x02"
			  "a\n"),
		 ""},
		{BYTES(V2 "\x20\x00\x00\x05\xe0\x00\x03"
			  "ab"),
		 ""},
		{BYTES(V2 "\x20\x00\x00\x02\xe0\x00"), ""},
		{BYTES(V2 "\x20\x00\x00\x05\xe2\x00\x02"
			  "ab"),
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct cursor in = cursor_over(fields[i].bytes, fields[i].len);
		struct egd_proxy proxy;

		assert_int_equal(egd_proxy_parse(&in, &proxy), EGD_PROXY_WHOLE);
		assert_string_equal(proxy.identity, "");
		assert_string_equal(proxy.refusal, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_header_says_for_whom_it_is),
		cmocka_unit_test(a_header_cut_anywhere_is_partial_and_stays),
		cmocka_unit_test(what_is_no_header_is_refused_and_stays),
		cmocka_unit_test(a_line_without_end_is_refused_at_its_limit),
		cmocka_unit_test(a_header_is_known_by_its_first_byte),
		cmocka_unit_test(what_ekey_tls_writes_is_read_whatever_it_is),
		cmocka_unit_test(fields_that_are_not_ours_say_nothing_and_are_no_error),
	};

	return cmocka_run_group_tests_name("egd_proxy", tests, NULL, NULL);
}
