/* SPDX-License-Identifier: MIT */
/* The client of xenstore, over a socket: answers lie there before the question is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/xen_channel.h"
#include "lib/xen_seed.h"
#include "lib/xenstore.h"

enum {
	DIRECTORY = 1,
	READ = 2,
	WATCH = 4,
	WRITE = 11,
	RM = 13,
	SET_PERMS = 14,
	WATCH_EVENT = 15,
	ERROR = 16
};

struct rig {
	int ours, store;
};

static int
set_up(void **state)
{
	static struct rig rig;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	rig = (struct rig){ends[0], ends[1]};
	*state = &rig;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	close(rig->ours);
	close(rig->store);
	return 0;
}

static void
answer(struct rig *rig, uint32_t type, const char *payload, uint32_t len)
{
	const uint32_t header[4] = {type, 0, 0, len};

	assert_int_equal(write(rig->store, header, sizeof(header)), sizeof(header));
	assert_int_equal(write(rig->store, payload, len), len);
}

#define ANSWER(rig, type, literal) answer(rig, type, literal, sizeof(literal) - 1)

static void
was_asked(struct rig *rig, uint32_t type, const char *payload, uint32_t len)
{
	uint32_t header[4];
	char heard[XENSTORE_PAYLOAD_MAX];

	assert_int_equal(read(rig->store, header, sizeof(header)), sizeof(header));
	assert_int_equal(header[0], type);
	assert_int_equal(header[2], 0);
	assert_int_equal(header[3], len);
	assert_int_equal(read(rig->store, heard, len), len);
	assert_memory_equal(heard, payload, len);
}

#define WAS_ASKED(rig, type, literal) was_asked(rig, type, literal, sizeof(literal) - 1)

static void
a_value_is_read_whole(void **state)
{
	struct rig *rig = *state;
	char value[8];

	ANSWER(rig, READ, "abcdefg");
	assert_int_equal(xenstore_read(rig->ours, "data/x", value, sizeof(value)), 7);
	assert_string_equal(value, "abcdefg");
	WAS_ASKED(rig, READ, "data/x\0");
}

static void
a_value_that_does_not_fit_is_not_cut(void **state)
{
	struct rig *rig = *state;
	char value[8] = "before";

	ANSWER(rig, READ, "abcdefgh");
	assert_int_equal(xenstore_read(rig->ours, "x", value, sizeof(value)), -ENOBUFS);
	assert_string_equal(value, "before");
}

static void
names_are_listed(void **state)
{
	struct rig *rig = *state;
	char names[16];

	ANSWER(rig, DIRECTORY, "0\0001\0");
	assert_int_equal(xenstore_list(rig->ours, "device/console", names, sizeof(names)), 4);
	assert_memory_equal(names, "0\0001\0", 5);
	WAS_ASKED(rig, DIRECTORY, "device/console\0");
}

static void
what_is_written_is_bytes(void **state)
{
	struct rig *rig = *state;

	ANSWER(rig, WRITE, "OK\0");
	assert_int_equal(xenstore_write(rig->ours, "data/seed", "\0\1\2", 3), 0);
	WAS_ASKED(rig, WRITE, "data/seed\0\0\1\2");
}

static void
permissions_are_for_one_guest(void **state)
{
	struct rig *rig = *state;

	ANSWER(rig, SET_PERMS, "OK\0");
	assert_int_equal(xenstore_share(rig->ours, "data/seed", 17), 0);
	WAS_ASKED(rig, SET_PERMS, "data/seed\0n0\0b17\0");
}

static void
errors_come_by_their_names(void **state)
{
	struct rig *rig = *state;

	ANSWER(rig, ERROR, "ENOENT\0");
	assert_int_equal(xenstore_remove(rig->ours, "data/seed"), -ENOENT);
	WAS_ASKED(rig, RM, "data/seed\0");
	ANSWER(rig, ERROR, "EACCES\0");
	assert_int_equal(xenstore_remove(rig->ours, "data/seed"), -EACCES);
	ANSWER(rig, ERROR, "ESOMETHING\0");
	assert_int_equal(xenstore_remove(rig->ours, "data/seed"), -EIO);
}

static void
news_for_others_is_passed_over(void **state)
{
	struct rig *rig = *state;
	char value[8];

	ANSWER(rig, WATCH_EVENT, "path\0token\0");
	ANSWER(rig, READ, "it");
	assert_int_equal(xenstore_read(rig->ours, "x", value, sizeof(value)), 2);
	assert_string_equal(value, "it");
}

static void
news_of_what_is_watched_are_taken_with_the_next_answer(void **state)
{
	struct rig *rig = *state;
	char byte;

	ANSWER(rig, WATCH, "OK\0");
	assert_int_equal(xenstore_watch(rig->ours, "data/x"), 0);
	WAS_ASKED(rig, WATCH, "data/x\0data/x\0");
	ANSWER(rig, WATCH_EVENT, "data/x\0data/x\0");
	ANSWER(rig, WATCH_EVENT, "data/x\0data/x\0");
	ANSWER(rig, ERROR, "ENOENT\0");
	assert_false(xen_seed_is_there(rig->ours));
	assert_int_equal(read(rig->ours, &byte, 1), -1);
}

static void
an_answer_longer_than_the_store_gives_is_refused(void **state)
{
	const uint32_t header[4] = {READ, 0, 0, XENSTORE_PAYLOAD_MAX + 1};
	struct rig *rig = *state;
	char value[8];

	assert_int_equal(write(rig->store, header, sizeof(header)), sizeof(header));
	assert_int_equal(xenstore_read(rig->ours, "x", value, sizeof(value)), -EPROTO);
}

static void
an_answer_to_something_else_is_refused(void **state)
{
	struct rig *rig = *state;
	char value[8];

	ANSWER(rig, DIRECTORY, "x");
	assert_int_equal(xenstore_read(rig->ours, "x", value, sizeof(value)), -EPROTO);
}

static void
an_answer_that_ends_early_is_refused(void **state)
{
	struct rig *rig = *state;
	char value[8];

	assert_int_equal(write(rig->store, "\2\0\0", 3), 3);
	shutdown(rig->store, SHUT_WR);
	assert_int_equal(xenstore_read(rig->ours, "x", value, sizeof(value)), -EPROTO);
}

static void
more_than_a_request_can_have_is_refused_unsent(void **state)
{
	static const char large[XENSTORE_PAYLOAD_MAX];
	struct rig *rig = *state;
	char byte;

	assert_int_equal(xenstore_write(rig->ours, "x", large, sizeof(large)), -E2BIG);
	assert_int_equal(read(rig->store, &byte, 1), -1);
}

/* ---- the channel ---- */

static void
the_channel_is_found_by_its_name(void **state)
{
	struct rig *rig = *state;
	char path[XEN_CHANNEL_PATH_MAX];

	ANSWER(rig, DIRECTORY, "0\0001\0002\0");
	ANSWER(rig, ERROR, "ENOENT\0"); /* the primary one has no name */
	ANSWER(rig, READ, "unused");
	ANSWER(rig, READ, XEN_CHANNEL_NAME);
	assert_int_equal(xen_channel_find_in(rig->ours, XEN_CHANNEL_NAME, path), 0);
	assert_string_equal(path, "/dev/hvc2");
}

static void
a_guest_without_the_channel_is_told_so(void **state)
{
	struct rig *rig = *state;
	char path[XEN_CHANNEL_PATH_MAX];

	ANSWER(rig, DIRECTORY, "1\0");
	ANSWER(rig, READ, XEN_CHANNEL_NAME "2");
	assert_int_equal(xen_channel_find_in(rig->ours, XEN_CHANNEL_NAME, path), -ENODEV);
	ANSWER(rig, ERROR, "ENOENT\0");
	assert_int_equal(xen_channel_find_in(rig->ours, XEN_CHANNEL_NAME, path), -ENODEV);
}

static void
what_is_no_console_number_is_passed_over(void **state)
{
	struct rig *rig = *state;
	char path[XEN_CHANNEL_PATH_MAX];

	ANSWER(rig, DIRECTORY, "x\00099\0../1\0\0001\0");
	ANSWER(rig, READ, XEN_CHANNEL_NAME);
	assert_int_equal(xen_channel_find_in(rig->ours, XEN_CHANNEL_NAME, path), 0);
	assert_string_equal(path, "/dev/hvc1");
}

/* ---- the seed ---- */

static void
fill(char text[static XEN_SEED_TEXT_LEN])
{
	for (size_t i = 0; i < XEN_SEED_TEXT_LEN; i++)
		text[i] = "0123456789abcdef"[i % 16];
}

static void
a_seed_is_the_guests_before_it_has_a_value(void **state)
{
	static const uint8_t seed[XEN_SEED_LEN] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	struct rig *rig = *state;
	char asked[64 + XEN_SEED_TEXT_LEN] = "/local/domain/7/data/ekey-seed";
	size_t path = strlen(asked) + 1;

	for (int i = 0; i < 3; i++)
		answer(rig, i == 1 ? SET_PERMS : WRITE, "OK", 3);
	assert_int_equal(xen_seed_put(rig->ours, 7, seed), 0);
	was_asked(rig, WRITE, asked, (uint32_t)path);
	WAS_ASKED(rig, SET_PERMS, "/local/domain/7/data/ekey-seed\0n0\0b7\0");
	memset(asked + path, '0', XEN_SEED_TEXT_LEN);
	memcpy(asked + path, "0123456789abcdef", 16);
	was_asked(rig, WRITE, asked, (uint32_t)path + XEN_SEED_TEXT_LEN);
}

/* At whatever step it fails: nothing follows. */
static void
a_seed_that_cannot_be_put_is_an_error(void **state)
{
	static const uint8_t seed[XEN_SEED_LEN] = {1};
	struct rig *rig = *state;

	for (int failing = 0; failing < 3; failing++) {
		for (int i = 0; i < failing; i++)
			answer(rig, i == 1 ? SET_PERMS : WRITE, "OK", 3);
		ANSWER(rig, ERROR, "EACCES\0");
		assert_int_equal(xen_seed_put(rig->ours, 7, seed), -EACCES);
	}
}

static void
a_seed_is_taken_once(void **state)
{
	struct rig *rig = *state;
	uint8_t seed[XEN_SEED_LEN];
	char text[XEN_SEED_TEXT_LEN];

	fill(text);
	answer(rig, READ, text, sizeof(text));
	ANSWER(rig, RM, "OK\0");
	assert_int_equal(xen_seed_take(rig->ours, seed), 0);
	assert_memory_equal(seed + 8, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	WAS_ASKED(rig, READ, "data/ekey-seed\0");
	WAS_ASKED(rig, RM, "data/ekey-seed\0");
}

static void
a_seed_that_cannot_be_removed_is_not_used(void **state)
{
	struct rig *rig = *state;
	uint8_t seed[XEN_SEED_LEN] = {0}, none[XEN_SEED_LEN] = {0};
	char text[XEN_SEED_TEXT_LEN];

	fill(text);
	answer(rig, READ, text, sizeof(text));
	ANSWER(rig, ERROR, "EACCES\0");
	assert_int_equal(xen_seed_take(rig->ours, seed), -EACCES);
	assert_memory_equal(seed, none, sizeof(seed));
}

static void
what_is_no_seed_is_not_used(void **state)
{
	struct rig *rig = *state;
	uint8_t seed[XEN_SEED_LEN];
	char text[XEN_SEED_TEXT_LEN];

	fill(text);
	text[17] = 'g';
	answer(rig, READ, text, sizeof(text));
	ANSWER(rig, RM, "OK\0");
	assert_int_equal(xen_seed_take(rig->ours, seed), -EBADMSG);
	answer(rig, READ, text, 16);
	ANSWER(rig, RM, "OK\0");
	assert_int_equal(xen_seed_take(rig->ours, seed), -EBADMSG);
}

static void
a_seed_that_is_not_written_yet_is_left_alone(void **state)
{
	struct rig *rig = *state;
	uint8_t seed[XEN_SEED_LEN];
	char text[XEN_SEED_TEXT_LEN];

	ANSWER(rig, READ, "");
	assert_false(xen_seed_is_there(rig->ours));
	ANSWER(rig, READ, "");
	assert_int_equal(xen_seed_take(rig->ours, seed), -ENOENT);
	fill(text);
	answer(rig, READ, text, sizeof(text));
	assert_true(xen_seed_is_there(rig->ours));
	for (int i = 0; i < 3; i++)
		WAS_ASKED(rig, READ, "data/ekey-seed\0");
}

static void
guests_are_known_by_name_and_number(void **state)
{
	struct rig *rig = *state;

	ANSWER(rig, DIRECTORY, "0\00012\0");
	ANSWER(rig, READ, "Domain-0");
	ANSWER(rig, READ, "web");
	assert_int_equal(xen_seed_domain(rig->ours, "web"), 12);
	ANSWER(rig, DIRECTORY, "0\00012\0");
	ANSWER(rig, READ, "Domain-0");
	assert_int_equal(xen_seed_domain(rig->ours, "12"), 12);
	ANSWER(rig, DIRECTORY, "0\0");
	ANSWER(rig, READ, "Domain-0");
	assert_int_equal(xen_seed_domain(rig->ours, "mail"), -ESRCH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_is_read_whole),
		TEST(a_value_that_does_not_fit_is_not_cut),
		TEST(names_are_listed),
		TEST(what_is_written_is_bytes),
		TEST(permissions_are_for_one_guest),
		TEST(errors_come_by_their_names),
		TEST(news_for_others_is_passed_over),
		TEST(news_of_what_is_watched_are_taken_with_the_next_answer),
		TEST(an_answer_longer_than_the_store_gives_is_refused),
		TEST(an_answer_to_something_else_is_refused),
		TEST(an_answer_that_ends_early_is_refused),
		TEST(more_than_a_request_can_have_is_refused_unsent),
		TEST(the_channel_is_found_by_its_name),
		TEST(a_guest_without_the_channel_is_told_so),
		TEST(what_is_no_console_number_is_passed_over),
		TEST(a_seed_is_the_guests_before_it_has_a_value),
		TEST(a_seed_that_cannot_be_put_is_an_error),
		TEST(a_seed_is_taken_once),
		TEST(a_seed_that_cannot_be_removed_is_not_used),
		TEST(what_is_no_seed_is_not_used),
		TEST(a_seed_that_is_not_written_yet_is_left_alone),
		TEST(guests_are_known_by_name_and_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
