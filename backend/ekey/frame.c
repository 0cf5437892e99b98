/* SPDX-License-Identifier: MIT */
#include "backend/ekey/frame.h"

#include <stdbool.h>

/*
 * Why no false start can swallow a frame: it would need CR LF at its own end, which lies inside
 * the frame it overlaps, and no frame of the device has CR LF anywhere but at its end. So a start
 * whose end is wrong costs nothing but itself, if the search goes on at the very next byte.
 */

void
framer_init(struct framer *f)
{
	*f = (struct framer){0};
}

void
framer_reset(struct framer *f)
{
	f->junk_bytes += f->held_len;
	f->held_len = 0;
}

static bool
frame_starts(const uint8_t *at)
{
	return at[0] == '*' && at[1] == ' ';
}

static bool
frame_ends(const uint8_t *at)
{
	return at[FRAME_LEN - 2] == '\r' && at[FRAME_LEN - 1] == '\n';
}

/* Bytes before the first place where a frame may start: "* ", or a last "*" whose next is unseen.
 */
static size_t
junk_before_start(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = bytes + len, *at = bytes;

	while (at < end && (at = memchr(at, '*', (size_t)(end - at))) != NULL) {
		if (at + 1 == end || at[1] == ' ')
			return (size_t)(at - bytes);
		at++;
	}
	return len;
}

/* A frame that lies whole in the input is given where it is, without a copy. */
static const uint8_t *
next_in_input(struct framer *f, struct cursor *in)
{
	const uint8_t *at;
	size_t junk;

	for (;;) {
		junk = junk_before_start(in->at, in->left);
		f->junk_bytes += junk;
		cursor_take(in, junk, &at);
		if (in->left < FRAME_LEN)
			return NULL;
		if (frame_ends(in->at))
			break;
		f->bad_frames++;
		f->junk_bytes++;
		cursor_take(in, 1, &at);
	}
	cursor_take(in, FRAME_LEN, &at);
	return at;
}

/* Moves input behind the held start; true when that makes a frame's length. */
static bool
fill_held(struct framer *f, struct cursor *in)
{
	size_t missing = FRAME_LEN - f->held_len;
	size_t len = in->left < missing ? in->left : missing;
	const uint8_t *at = in->at;

	cursor_take(in, len, &at);
	memcpy(f->held + f->held_len, at, len);
	f->held_len += len;
	return f->held_len == FRAME_LEN;
}

/* The held start was none: the next one may be among the bytes held behind it. */
static void
drop_held_start(struct framer *f)
{
	size_t junk = 1 + junk_before_start(f->held + 1, f->held_len - 1);

	f->bad_frames += frame_starts(f->held);
	f->junk_bytes += junk;
	f->held_len -= junk;
	memmove(f->held, f->held + junk, f->held_len);
}

/* Completes a frame held from earlier calls; then none is held, or the input is used up. */
static const uint8_t *
next_in_held(struct framer *f, struct cursor *in)
{
	while (f->held_len > 0) {
		bool whole = fill_held(f, in);
		bool start = f->held_len < 2 || frame_starts(f->held);

		if (start && !whole)
			return NULL;
		if (start && frame_ends(f->held)) {
			f->held_len = 0;
			return f->held;
		}
		drop_held_start(f);
	}
	return NULL;
}

const uint8_t *
framer_next(struct framer *f, struct cursor *in)
{
	const uint8_t *frame;

	if (in->left == 0)
		return NULL;
	frame = next_in_held(f, in);
	if (frame == NULL && f->held_len == 0)
		frame = next_in_input(f, in);
	if (frame != NULL)
		f->frames++;
	else
		(void)fill_held(f, in);
	return frame;
}
