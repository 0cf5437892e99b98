/* SPDX-License-Identifier: MIT */
/*
 * The kinds of frames that a key sends, and when: for an owner's report about hardware that was
 * never at hand. It has no byte of a key, nonce, MAC or entropy: of binary frames only type, count
 * and sub-code are kept, of authentic texts their shape, of other frames only the type.
 */
#ifndef BACKEND_EKEY_FRAME_STATS_H
#define BACKEND_EKEY_FRAME_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/frame.h"
#include "backend/ekey/packet.h"

#define FRAME_STATS_TYPES 128 /* by type byte; unprintable ones are counted at 0 */
#define FRAME_STATS_SHAPES 16

struct frame_stats_type {
	uint64_t authentic, unverified;
	bool binary; /* seen authentic and binary: these are its sub-codes */
	uint16_t subcode_min, subcode_max;
};

/* The form of a text: the first letter of each word stays, others become a, A, 9 or '?'. */
struct frame_stats_shape {
	uint64_t count;
	char type;
	char text[PACKET_TEXT_LEN + 1];
};

/* A measurement made again and again. */
struct frame_stats_span {
	uint64_t count;
	uint64_t last, min, max;
};

struct frame_stats {
	struct frame_stats_type types[FRAME_STATS_TYPES];
	struct frame_stats_shape shapes[FRAME_STATS_SHAPES];
	uint64_t shapes_more; /* frames whose shape found no room */

	struct frame_stats_span serial_ms;    /* from a reset to S */
	struct frame_stats_span ask_ms;       /* from a reset to the first k */
	struct frame_stats_span answer_ms;    /* from K to its answer */
	struct frame_stats_span interval_ms;  /* from answer to answer */
	struct frame_stats_span blocks_per_s; /* entropy frames, while reading does not pause */

	/* Starts of the measurements; UINT64_MAX: not being measured. */
	uint64_t reset_at_ms, ask_from_ms, nonce_at_ms, answer_at_ms, second_at_ms;
	uint64_t second_blocks;
};

void frame_stats_init(struct frame_stats *c);

/* A reset, or a nonce, is sent. */
void frame_stats_reset(struct frame_stats *c, uint64_t now_ms);
void frame_stats_nonce(struct frame_stats *c, uint64_t now_ms);

/* A frame has come; `authentic`: its MAC has been verified. */
void frame_stats_frame(struct frame_stats *c, const uint8_t frame[static FRAME_LEN], bool authentic,
		       uint64_t now_ms);

/* Reading stops, or the transport is gone: measurements that have begun are dropped. */
void frame_stats_pause(struct frame_stats *c);

#endif
