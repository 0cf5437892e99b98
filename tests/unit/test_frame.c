/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/frame.h"
#include "tests/unit/vectors.h"

static struct framer f;

static int
setup(void **unused)
{
	(void)unused;
	framer_init(&f);
	return 0;
}

/* A well-formed frame that can be told from others. */
static void
make_frame(char name, uint8_t ret[FRAME_LEN])
{
	memset(ret, name, FRAME_LEN);
	memcpy(ret, "* ", 2);
	memcpy(ret + FRAME_LEN - 2, "\r\n", 2);
}

/* Feeds all of it, and says the names of the frames that came out. */
static const char *
names_in(const void *bytes, size_t len)
{
	static char names[64];
	struct cursor in = cursor_over(bytes, len);
	const uint8_t *frame;
	size_t count = 0;

	while ((frame = framer_next(&f, &in)) != NULL && count < sizeof(names) - 1)
		names[count++] = (char)frame[FRAME_TYPE_AT];
	assert_int_equal(in.left, 0);
	names[count] = '\0';
	return names;
}

static void
a_whole_frame_is_given_where_it_lies(void **unused)
{
	uint8_t stream[2 * FRAME_LEN] = {0};
	struct cursor in = cursor_over(stream, sizeof(stream));

	(void)unused;
	make_frame('a', stream);
	make_frame('b', stream + FRAME_LEN);
	assert_ptr_equal(framer_next(&f, &in), stream);
	assert_ptr_equal(framer_next(&f, &in), stream + FRAME_LEN);
	assert_null(framer_next(&f, &in));
	assert_int_equal(f.frames, 2);
	assert_int_equal(f.junk_bytes, 0);
}

static void
a_frame_comes_together_at_every_split(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	make_frame('a', frame);
	for (size_t split = 0; split < FRAME_LEN; split++) {
		framer_init(&f);
		assert_string_equal(names_in(frame, split), "");
		assert_string_equal(names_in(frame + split, FRAME_LEN - split), "a");
		assert_int_equal(f.junk_bytes, 0);
	}
}

static void
garbage_before_a_frame_is_skipped(void **unused)
{
	uint8_t stream[200 + FRAME_LEN];

	(void)unused;
	for (size_t junk = 0; junk <= 200; junk++) {
		framer_init(&f);
		memset(stream, 'x', junk);
		make_frame('a', stream + junk);
		assert_string_equal(names_in(stream, junk + FRAME_LEN), "a");
		assert_int_equal(f.junk_bytes, junk);
		assert_int_equal(f.bad_frames, 0);
	}
}

/* "* " at every distance before a frame, cut at every place: the frame comes out. */
static void
a_false_start_swallows_no_frame(void **unused)
{
	uint8_t stream[3 * FRAME_LEN];

	(void)unused;
	for (size_t junk = 2; junk < FRAME_LEN; junk++) {
		size_t len = junk + 2 * FRAME_LEN;

		memset(stream, '*', junk);
		memcpy(stream, "* ", 2);
		make_frame('a', stream + junk);
		make_frame('b', stream + junk + FRAME_LEN);
		for (size_t split = 0; split <= len; split++) {
			char both[8];

			framer_init(&f);
			strcpy(both, names_in(stream, split));
			strcat(both, names_in(stream + split, len - split));
			assert_string_equal(both, "ab");
			assert_int_equal(f.junk_bytes, junk);
		}
	}
}

static void
a_frame_cut_short_costs_itself_only(void **unused)
{
	uint8_t stream[3 * FRAME_LEN];

	(void)unused;
	for (size_t cut = 0; cut < FRAME_LEN; cut++) {
		framer_init(&f);
		make_frame('a', stream);
		make_frame('b', stream + cut);
		make_frame('c', stream + cut + FRAME_LEN);
		assert_string_equal(names_in(stream, cut + 2 * FRAME_LEN), "bc");
		assert_int_equal(f.junk_bytes, cut);
	}
}

static void
an_end_of_other_bytes_is_no_frame(void **unused)
{
	uint8_t stream[2 * FRAME_LEN];

	(void)unused;
	for (int at = FRAME_LEN - 2; at < FRAME_LEN; at++) {
		framer_init(&f);
		make_frame('a', stream);
		make_frame('b', stream + FRAME_LEN);
		stream[at] = 'x';
		assert_string_equal(names_in(stream, sizeof(stream)), "b");
		assert_int_equal(f.bad_frames, 1);
		assert_int_equal(f.junk_bytes, FRAME_LEN);
	}
}

static void
published_broken_frames_are_no_frames(void **unused)
{
	json_t *all = vectors("frames_invalid"), *v;
	unsigned checked = 0;
	size_t i;

	(void)unused;
	json_array_foreach(all, i, v)
	{
		uint8_t bytes[FRAME_LEN];
		size_t len = vector_hex(v, "hex", sizeof(bytes), bytes);
		bool broken = strcmp(vector_string(v, "level"), "framing") == 0;

		framer_init(&f);
		assert_int_equal(strlen(names_in(bytes, len)), broken ? 0 : 1);
		checked += broken;
	}
	assert_int_equal(checked, 4);
}

/* Garbage rich in "* " and CR LF: whole = bytewise = random pieces, counters too. */
static void
pieces_make_no_difference_and_every_byte_is_accounted_for(void **unused)
{
	static const char alphabet[] = "* \r\nab";
	uint8_t stream[4096];
	uint64_t random = 12345;
	struct framer whole;
	char names[64];

	(void)unused;
	for (size_t i = 0; i < sizeof(stream); i++) {
		random = random * 6364136223846793005U + 1442695040888963407U;
		stream[i] = (uint8_t)alphabet[(random >> 33) % (sizeof(alphabet) - 1)];
	}
	for (size_t at = 500; at + FRAME_LEN < sizeof(stream); at += 700)
		make_frame('c', stream + at);
	strcpy(names, names_in(stream, sizeof(stream)));
	whole = f;
	for (size_t piece = 1; piece < 200; piece++) {
		char pieced[64] = "";

		framer_init(&f);
		for (size_t at = 0; at < sizeof(stream); at += piece) {
			size_t left = sizeof(stream) - at;

			strcat(pieced, names_in(stream + at, piece < left ? piece : left));
		}
		assert_string_equal(pieced, names);
		assert_int_equal(f.bad_frames, whole.bad_frames);
		assert_int_equal(f.junk_bytes, whole.junk_bytes);
		assert_int_equal(f.frames * FRAME_LEN + f.junk_bytes + f.held_len, sizeof(stream));
	}
}

static void
a_new_stream_does_not_continue_the_old_one(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	make_frame('a', frame);
	assert_string_equal(names_in(frame, 40), "");
	framer_reset(&f);
	assert_string_equal(names_in(frame + 40, FRAME_LEN - 40), "");
	assert_int_equal(f.junk_bytes, FRAME_LEN);
	assert_string_equal(names_in(frame, FRAME_LEN), "a");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(a_whole_frame_is_given_where_it_lies),
		TEST(a_frame_comes_together_at_every_split),
		TEST(garbage_before_a_frame_is_skipped),
		TEST(a_false_start_swallows_no_frame),
		TEST(a_frame_cut_short_costs_itself_only),
		TEST(an_end_of_other_bytes_is_no_frame),
		TEST(published_broken_frames_are_no_frames),
		TEST(pieces_make_no_difference_and_every_byte_is_accounted_for),
		TEST(a_new_stream_does_not_continue_the_old_one),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
