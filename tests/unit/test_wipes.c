/* SPDX-License-Identifier: MIT */
/*
 * What code that handles keys leaves of them on the stack: nothing but registers, of eight bytes,
 * that a compiler may save there and C cannot wipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/masterkey.h"
#include "backend/ekey/pem64.h"
#include "backend/ekey/session.h"
#include "lib/secret.h"
#include "tests/unit/session_rig.h"
#include "tests/unit/stack_scan.h"

#define PIECE 16

#ifdef __OPTIMIZE__
#define VARIABLES_ARE_REGISTERS true
#else
#define VARIABLES_ARE_REGISTERS false
#endif

/* Calls fn() below what the scan itself needs. */
static __attribute__((noinline)) void
run_below(void (*fn)(void))
{
	volatile uint8_t room[1024] = {0};

	fn();
	(void)room[0];
}

static void
run(void (*fn)(void))
{
	stack_scan_clear();
	run_below(fn);
}

static void
assert_not_left(const void *what, size_t len)
{
	for (size_t i = 0; i + PIECE <= len; i++)
		assert_false(stack_scan((const uint8_t *)what + i, PIECE));
}

/* What looks like a key, with no eight bytes twice. */
static void
make_secret(uint8_t ret[static 32])
{
	for (unsigned i = 0; i < 32; i++)
		ret[i] = (uint8_t)(i * 37 + 11);
}

static uint8_t secret[32];

static void
leave(void)
{
	stack_scan_leave(secret, sizeof(secret));
}

static void
bytes_that_are_left_are_found(void **unused)
{
	(void)unused;
	make_secret(secret);
	run(leave);
	for (size_t i = 0; i + PIECE <= sizeof(secret); i++)
		assert_true(stack_scan(secret + i, PIECE));
}

/* ---- long-term and master keys as text ---- */

static char text[256];
static struct keyring *ring;
static uint8_t master[MASTERKEY_LEN];
static bool good;

static void
parse_keyring(void)
{
	struct keyring_errors errors;

	good = keyring_parse(text, strlen(text), ring, &errors);
}

static void
write_line(struct keyring_entry *entry)
{
	memset(entry->serial, 7, sizeof(entry->serial));
	make_secret(entry->ltk);
	keyring_line(entry, text);
	strcpy(text + KEYRING_LINE_LEN, "\n");
}

static void
a_long_term_key_is_in_its_ring_only(void **unused)
{
	struct keyring_entry entry;

	(void)unused;
	ring = secret_new(sizeof(*ring));
	write_line(&entry);
	run(parse_keyring);
	assert_true(good);
	assert_not_left(entry.ltk, sizeof(entry.ltk));
	assert_not_left(strchr(text, ' ') + 1, PEM64_TEXT_LEN(32));
	secret_free(ring, sizeof(*ring));
}

static void
parse_master(void)
{
	good = masterkey_parse(text, master);
}

static void
a_master_key_is_where_it_is_wanted_only(void **unused)
{
	uint8_t bytes[MASTERKEY_LEN + 1];

	(void)unused;
	make_secret(bytes);
	bytes[MASTERKEY_LEN] = crc8(bytes, MASTERKEY_LEN);
	for (int wrong = 0; wrong <= 1; wrong++) {
		bytes[MASTERKEY_LEN] ^= (uint8_t)wrong;
		pem64_encode(bytes, sizeof(bytes), text);
		text[PEM64_TEXT_LEN(sizeof(bytes))] = '\0';
		run(parse_master);
		assert_int_equal(good, !wrong);
		assert_not_left(bytes, MASTERKEY_LEN);
		assert_not_left(text, strlen(text));
	}
}

/* ---- a session's keys and pads ---- */

static uint8_t frame[FRAME_LEN];

static int
set_up(void **state)
{
	if (!VARIABLES_ARE_REGISTERS)
		print_message("skipped: without optimisation Skein's registers are on the stack\n");
	return rig_set_up(state);
}

static void
skip_without_registers(void)
{
	if (!VARIABLES_ARE_REGISTERS)
		skip();
}

static void
take_frame(void)
{
	struct cursor in = cursor_over(frame, sizeof(frame));

	(void)session_next(h.session, &in, h.now_ms);
}

/* The session key and the state that it is made from. */
static void
derive(const uint8_t nonce[static SESSION_NONCE_LEN], struct keyed *ret_from,
       uint8_t ret[static 32])
{
	uint8_t device[36];
	size_t len;

	assert_true(pem64_decode((const char *)frame + 6, 44, sizeof(device), device, &len));
	keyed_prepare(ret_from, KEYED_SESSION_KEY, h.device.serial, h.device.ltk);
	keyed_derive(ret_from, device, 32, nonce, SESSION_NONCE_LEN, ret);
}

static void
a_session_key_leaves_nothing_that_it_is_made_of(void **unused)
{
	uint8_t nonce[SESSION_NONCE_LEN], key[32];
	struct keyed from;

	(void)unused;
	skip_without_registers();
	host_key(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, nonce);
	device_answer(&h.device, nonce, sizeof(nonce), frame);
	run(take_frame);
	derive(nonce, &from, key);
	assert_not_left(key, sizeof(key));
	assert_not_left(&from, sizeof(from));
	assert_not_left(h.device.ltk, sizeof(h.device.ltk));
	assert_not_left(&h.session->pad_key, sizeof(h.session->pad_key));
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
}

static void
the_pad_of_a_frame_is_left_nowhere(void **unused)
{
	uint8_t block[DEVICE_BLOCK_LEN], cipher[36], pad[DEVICE_BLOCK_LEN];
	size_t len;

	(void)unused;
	skip_without_registers();
	host_key(&h);
	device_block(h.device.next_block, block);
	device_entropy(&h.device, frame);
	assert_true(pem64_decode((const char *)frame + 6, 44, sizeof(cipher), cipher, &len));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] = cipher[i] ^ block[i];
	run(take_frame);
	assert_memory_equal(h.session->block, block, sizeof(block));
	assert_not_left(pad, sizeof(pad));
	assert_not_left(block, sizeof(block));
}

#define IN_SESSION(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_that_are_left_are_found),
		cmocka_unit_test(a_long_term_key_is_in_its_ring_only),
		cmocka_unit_test(a_master_key_is_where_it_is_wanted_only),
		IN_SESSION(a_session_key_leaves_nothing_that_it_is_made_of),
		IN_SESSION(the_pad_of_a_frame_is_left_nowhere),
	};

	return cmocka_run_group_tests_name("wipes", tests, NULL, NULL);
}
