/* SPDX-License-Identifier: MIT */
/* Finds 64-byte frames in a byte stream and resynchronises after garbage. doc/protocol.md 2. */
#ifndef BACKEND_EKEY_FRAME_H
#define BACKEND_EKEY_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define FRAME_LEN 64         /* bytes, fixed: "* ", content, MAC, CR LF */
#define FRAME_CONTENT_AT 2   /* the part under the MAC starts here... */
#define FRAME_CONTENT_LEN 52 /* ...and is this long */
#define FRAME_TYPE_AT 2
#define FRAME_CLASS_AT 3
#define FRAME_TEXT_AT 4    /* text: 50 characters */
#define FRAME_SUBCODE_AT 4 /* binary: 2 characters... */
#define FRAME_BYTES_AT 6   /* ...then up to 48 */
#define FRAME_MAC_AT 54    /* 8 characters */

struct framer {
	uint8_t held[FRAME_LEN]; /* the start of a frame whose end has not come yet */
	size_t held_len;
	uint64_t frames;     /* well-formed frames given */
	uint64_t bad_frames; /* frame starts whose end was not where it must be */
	uint64_t junk_bytes; /* bytes that belonged to no frame: in = 64 * frames + junk + held */
};

void framer_init(struct framer *f);

/* Another stream begins: held bytes become junk, the counters go on. */
void framer_reset(struct framer *f);

/*
 * Moves `in` forward to the end of the next well-formed frame and returns it, or returns NULL when
 * all of `in` is taken and no frame is complete. The frame lies in `in`'s bytes or in `f`: it is
 * valid until the next call. A damaged or cut frame costs that frame: the search goes on at the
 * byte after its start. How the stream is split between calls makes no difference.
 */
const uint8_t *framer_next(struct framer *f, struct cursor *in);

#endif
