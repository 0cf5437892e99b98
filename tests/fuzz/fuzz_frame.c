/* SPDX-License-Identifier: MIT */
/* The first byte cuts the rest in pieces: whole and pieces must give the same frames. */
#include "backend/ekey/frame.h"
#include "tests/fuzz/fuzz.h"

struct result {
	uint64_t digest; /* of all frames, in order */
	struct framer framer;
};

static void
feed(struct result *r, const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	const uint8_t *frame;

	while ((frame = framer_next(&r->framer, &in)) != NULL) {
		promise(frame[0] == '*' && frame[1] == ' ' && frame[62] == '\r' &&
				frame[63] == '\n',
			"a frame has its start and its end");
		for (size_t i = 0; i < FRAME_LEN; i++)
			r->digest = (r->digest ^ frame[i]) * UINT64_C(0x100000001b3);
	}
	promise(in.left == 0, "all input is taken");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	size_t piece = 1 + (size_t)fuzz_byte(&in), total = in.left, len;
	struct result whole = {0}, pieces = {0};
	const uint8_t *at;

	framer_init(&whole.framer);
	framer_init(&pieces.framer);
	feed(&whole, in.at, in.left);
	while (in.left > 0) {
		at = fuzz_bytes(&in, piece, &len);
		feed(&pieces, at, len);
	}
	promise(whole.digest == pieces.digest, "pieces give the same frames");
	promise(whole.framer.frames == pieces.framer.frames &&
			whole.framer.bad_frames == pieces.framer.bad_frames &&
			whole.framer.junk_bytes == pieces.framer.junk_bytes,
		"pieces give the same counts");
	promise(whole.framer.frames * FRAME_LEN + whole.framer.junk_bytes + whole.framer.held_len ==
			total,
		"every byte is accounted for");
	return 0;
}
