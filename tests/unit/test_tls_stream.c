/* SPDX-License-Identifier: MIT */
/* What goes through an established connection: every byte, once, in order, and its end told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_rig.h"

#define STREAM_LEN 300000

static void
join(struct tls_rig *rig)
{
	const char *psk = tls_rig_write("stream.psk", "alice:" TLS_RIG_KEY "\n");
	const struct tls_config server = {.server = true, .psk = psk};
	const struct tls_config client = {.psk = psk};

	tls_rig_connect(rig, &server, &client);
	assert_int_equal(rig->server.result, 0);
	assert_int_equal(rig->client.result, 0);
}

static uint8_t
stream_byte(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static size_t
random_len(size_t max)
{
	return 1 + (size_t)rand() % max;
}

/* Sends some of what is left; from another place each time, as the contract allows. */
static size_t
write_some(struct tls *tls, size_t sent, size_t *pending)
{
	static uint8_t bytes[2][40000];
	static unsigned turn;
	uint8_t *at = bytes[turn++ % 2];
	size_t len = *pending > 0 ? *pending : random_len(sizeof(bytes[0]));
	ssize_t n;

	if (len > STREAM_LEN - sent)
		len = STREAM_LEN - sent;
	for (size_t i = 0; i < len; i++)
		at[i] = stream_byte(sent + i);
	n = tls_write(tls, at, len);
	memset(at, 0xee, len);
	assert_true(n > 0 || n == TLS_WANT_WRITE);
	*pending = n > 0 ? 0 : len;
	return n > 0 ? (size_t)n : 0;
}

static size_t
read_some(struct tls *tls, size_t had)
{
	uint8_t bytes[20000];
	size_t len = random_len(random_len(sizeof(bytes)));
	ssize_t n = tls_read(tls, bytes, len);

	assert_true(n > 0 || n == TLS_WANT_READ);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != stream_byte(had + (size_t)i))
			fail_msg("byte %zu differs", had + (size_t)i);
	return n > 0 ? (size_t)n : 0;
}

static void
every_byte_comes_through_short_reads_and_writes(void **unused)
{
	unsigned seed = (unsigned)getpid();
	size_t sent = 0, had = 0, pending = 0;
	struct tls_rig rig;
	int small = 4096;

	(void)unused;
	print_message("seed %u\n", seed);
	srand(seed);
	join(&rig);
	setsockopt(rig.server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (had < STREAM_LEN) {
		if (sent < STREAM_LEN && rand() % 2 == 0)
			sent += write_some(rig.server.tls, sent, &pending);
		had += read_some(rig.client.tls, had);
		assert_true(had <= sent + pending);
	}
	assert_int_equal(tls_read(rig.client.tls, (uint8_t[1]){0}, 1), TLS_WANT_READ);
	tls_rig_close(&rig);
}

static void
nothing_of_it_is_on_the_wire_in_clear(void **unused)
{
	static const uint8_t text[] = "these bytes are for nobody else";
	uint8_t wire[1024];
	struct tls_rig rig;
	ssize_t n;

	(void)unused;
	join(&rig);
	assert_int_equal(tls_write(rig.server.tls, text, sizeof(text)), sizeof(text));
	n = recv(rig.client.fd, wire, sizeof(wire), MSG_PEEK);
	assert_true(n > (ssize_t)sizeof(text));
	assert_null(memmem(wire, (size_t)n, text, 8));
	assert_int_equal(tls_read(rig.client.tls, wire, sizeof(wire)), sizeof(text));
	assert_memory_equal(wire, text, sizeof(text));
	tls_rig_close(&rig);
}

static void
who_has_closed_his_half_still_reads(void **unused)
{
	uint8_t bytes[8];
	struct tls_rig rig;

	(void)unused;
	join(&rig);
	assert_int_equal(tls_write(rig.client.tls, (const uint8_t *)"\2\4", 2), 2);
	assert_int_equal(tls_close(rig.client.tls), 0);
	assert_int_equal(tls_close(rig.client.tls), 0);
	assert_int_equal(tls_read(rig.server.tls, bytes, sizeof(bytes)), 2);
	assert_int_equal(tls_read(rig.server.tls, bytes, sizeof(bytes)), 0);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), TLS_WANT_READ);
	assert_int_equal(tls_write(rig.server.tls, (const uint8_t *)"abcd", 4), 4);
	assert_int_equal(tls_close(rig.server.tls), 0);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "abcd", 4);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), 0);
	tls_rig_close(&rig);
}

static void
a_connection_that_is_cut_is_no_end(void **unused)
{
	uint8_t bytes[8];
	struct tls_rig rig;

	(void)unused;
	join(&rig);
	assert_int_equal(tls_write(rig.server.tls, (const uint8_t *)"ab", 2), 2);
	shutdown(rig.server.fd, SHUT_RDWR);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), 2);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), -ECONNRESET);
	assert_non_null(strstr(tls_error_text(rig.client.tls), "cut off"));
	tls_rig_close(&rig);
}

static void
a_damaged_byte_ends_the_connection(void **unused)
{
	uint8_t wire[256], bytes[64];
	struct tls_rig rig;
	ssize_t n;

	(void)unused;
	join(&rig);
	assert_int_equal(tls_write(rig.server.tls, (const uint8_t *)"abcdefgh", 8), 8);
	n = recv(rig.client.fd, wire, sizeof(wire), 0);
	assert_true(n > 16);
	wire[n - 1] ^= 1;
	assert_int_equal(send(rig.server.fd, wire, (size_t)n, 0), n);
	assert_int_equal(tls_read(rig.client.tls, bytes, sizeof(bytes)), -EPROTO);
	assert_string_not_equal(tls_error_text(rig.client.tls), "");
	assert_int_equal(tls_read(rig.server.tls, bytes, sizeof(bytes)), -EPROTO);
	assert_non_null(strstr(tls_error_text(rig.server.tls),
			       "it refused the connection: bad record mac"));
	tls_rig_close(&rig);
}

static void
a_peer_that_went_is_told_by_its_socket(void **unused)
{
	struct tls_rig rig;
	ssize_t n;

	(void)unused;
	join(&rig);
	close(rig.client.fd);
	n = tls_write(rig.server.tls, (const uint8_t *)"ab", 2);
	assert_int_equal(n, -EPIPE);
	assert_string_equal(tls_error_text(rig.server.tls), strerror(EPIPE));
	rig.client.fd = dup(rig.server.fd); /* to be closed */
	tls_rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_through_short_reads_and_writes),
		cmocka_unit_test(nothing_of_it_is_on_the_wire_in_clear),
		cmocka_unit_test(who_has_closed_his_half_still_reads),
		cmocka_unit_test(a_connection_that_is_cut_is_no_end),
		cmocka_unit_test(a_damaged_byte_ends_the_connection),
		cmocka_unit_test(a_peer_that_went_is_told_by_its_socket),
	};

	return cmocka_run_group_tests(tests, tls_rig_begin, tls_rig_end);
}
