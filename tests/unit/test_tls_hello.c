/* SPDX-License-Identifier: MIT */
/* What a client that nobody knows can have of a server by its first message alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_rig.h"

#define BINDER_LEN 32
#define HELLO_MAX 16384

struct hello {
	uint8_t bytes[HELLO_MAX];
	size_t len;
};

static void
put(struct hello *h, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(h->bytes) - h->len);
	memcpy(h->bytes + h->len, bytes, len);
	h->len += len;
}

static void
put_number(struct hello *h, size_t number, size_t len)
{
	for (size_t i = len; i-- > 0;)
		put(h, &(uint8_t){(uint8_t)(number >> (8 * i))}, 1);
}

/* The length of what follows is not known yet: put_end() writes it where this is. */
static size_t
put_begin(struct hello *h, size_t len)
{
	put_number(h, 0, len);
	return h->len;
}

static void
put_end(struct hello *h, size_t begin, size_t len)
{
	size_t end = h->len;

	h->len = begin - len;
	put_number(h, end - begin, len);
	h->len = end;
}

/* RFC 8446 4.2.11: `count` identities "x", and then "alice", each with a binder that is wrong. */
static void
put_keys(struct hello *h, unsigned count)
{
	static const uint8_t wrong[BINDER_LEN] = {1};
	size_t extension, list;

	put_number(h, 41, 2);
	extension = put_begin(h, 2);
	list = put_begin(h, 2);
	for (unsigned i = 0; i <= count; i++) {
		const char *name = i < count ? "x" : "alice";

		put_number(h, strlen(name), 2);
		put(h, name, strlen(name));
		put_number(h, 0, 4);
	}
	put_end(h, list, 2);
	list = put_begin(h, 2);
	for (unsigned i = 0; i <= count; i++) {
		put_number(h, sizeof(wrong), 1);
		put(h, wrong, sizeof(wrong));
	}
	put_end(h, list, 2);
	put_end(h, extension, 2);
}

/* RFC 8446 4.1.2, of one who wants a key with (EC)DHE over X25519. */
static void
put_hello(struct hello *h, unsigned keys)
{
	static const uint8_t random[32] = {7}, share[32] = {9};
	size_t record, message, extensions;

	put(h, "\x16\3\1", 3);
	record = put_begin(h, 2);
	put(h, "\1", 1);
	message = put_begin(h, 3);
	put(h, "\3\3", 2);
	put(h, random, sizeof(random));
	put(h, "\0\0\2\x13\1\1\0", 7); /* no session, one suite, no compression */
	extensions = put_begin(h, 2);
	put(h, "\0\x2b\0\3\2\3\4", 7);                /* TLS 1.3 */
	put(h, "\0\x0a\0\4\0\2\0\x1d", 8);            /* X25519 */
	put(h, "\0\x0d\0\4\0\2\4\3", 8);              /* a signature's algorithm */
	put(h, "\0\x2d\0\2\1\1", 6);                  /* a key, with (EC)DHE */
	put(h, "\0\x33\0\x26\0\x24\0\x1d\0\x20", 10); /* our share */
	put(h, share, sizeof(share));
	put_keys(h, keys);
	put_end(h, extensions, 2);
	put_end(h, message, 3);
	put_end(h, record, 2);
}

/* What a server that knows "alice" says to it. */
static void
assert_answer(unsigned keys, const char *words)
{
	const struct tls_config config = {
		.server = true, .psk = tls_rig_write("server.psk", "alice:" TLS_RIG_KEY "\n")};
	char error[TLS_ERROR_MAX];
	struct tls_context *context = tls_context_new(&config, error);
	struct hello hello = {.len = 0};
	struct tls *tls;
	int fds[2];

	assert_non_null(context);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	tls = tls_new(context, fds[0]);
	assert_non_null(tls);
	put_hello(&hello, keys);
	assert_int_equal(write(fds[1], hello.bytes, hello.len), hello.len);
	assert_int_equal(tls_handshake(tls), -EPROTO);
	if (strstr(tls_error_text(tls), words) == NULL)
		fail_msg("\"%s\"; expected \"%s\"", tls_error_text(tls), words);
	tls_free(&tls);
	tls_context_free(&context);
	close(fds[0]);
	close(fds[1]);
}

static void
a_few_identities_are_looked_for(void **unused)
{
	(void)unused;
	assert_answer(0, "its key is not that of identity \"alice\"");
	assert_answer(3, "its key is not that of identity \"alice\"");
}

/* Each is looked for in the whole file: thousands of them would hold up all others. */
static void
one_message_cannot_have_us_look_for_many(void **unused)
{
	(void)unused;
	assert_answer(8, "its identity \"x\" is not in");
	assert_answer(300, "its identity \"x\" is not in");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_identities_are_looked_for),
		cmocka_unit_test(one_message_cannot_have_us_look_for_many),
	};

	return cmocka_run_group_tests(tests, tls_rig_begin, tls_rig_end);
}
