/* SPDX-License-Identifier: MIT */
/*
 * An Entropy Key as a machine without I/O: what the host writes and `now_ms` go in, frames come
 * out. doc/protocol.md 2 and 3, from the device's side. It shares no code with ekey/, the host's
 * side, so that each checks the other.
 */
#ifndef TESTS_SIM_ENGINE_H
#define TESTS_SIM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/command.h"
#include "tests/sim/faults.h"
#include "tests/sim/frames.h"
#include "tests/sim/info.h"
#include "tests/sim/keys.h"

#define ENGINE_PACKET_MAX 64   /* bytes: the host's USB packet */
#define ENGINE_REPLIES 64      /* frames: two packets full of "K." */
#define ENGINE_BLOCK_FRAMES 78 /* E frames in a verified block of 20,000 bits */
#define ENGINE_SEQUENCES 4096  /* E frames under one session key */

/* k frames: the first soon after a reset, then one for each block but not more often than this, so
 * that a host has the time to answer even where blocks take no time. */
#define ENGINE_ASK_MS 100

#define ENGINE_NO_DEADLINE UINT64_MAX

/* What the device is born with. Callbacks return false when they cannot: its generators fail. */
struct engine_config {
	struct keys_identity identity;
	uint64_t rate;       /* E frames a second; 0: as many as are asked for */
	uint64_t blocks_max; /* no entropy after so many; UINT64_MAX: no end */
	char fail_mode;      /* badness letter, or INFO_BADNESS_OK */
	uint64_t fail_after; /* blocks before it strikes */
	bool (*random)(void *arg, uint8_t *ret, size_t len); /* for the keys' 32 bytes */
	bool (*entropy)(void *arg, uint8_t ret[static 32]);  /* the next block to send */
	void *arg;
};

struct engine_counters {
	uint64_t bytes_in;
	uint64_t frames; /* of the device itself, before the wire's faults */
	uint64_t blocks, infos, asks, resets;
	uint64_t nonces, rekeys;
	uint64_t lt_macs, lt_rekeys, lt_refused;
	uint64_t unknown; /* characters answered with W */
	uint64_t broken;  /* commands answered with B */
};

/* Holds keys: allocate it with secret_new(). Fields are the engine's own. */
struct engine {
	struct engine_config config;
	struct faults *faults;
	struct engine_counters counters;
	struct command_parser parser;
	struct info info;
	struct keys keys;
	unsigned sequence;   /* of the next E frame */
	unsigned block_at;   /* E frames sent of the present block */
	unsigned infos_left; /* information frames still to follow it */
	uint64_t due_ns;     /* when the next E or k frame may go */
	size_t replies_at, replies_len;
	uint8_t replies[ENGINE_REPLIES][FRAMES_LEN];
};

/* `faults` must outlive the engine. */
void engine_init(struct engine *e, const struct engine_config *config, struct faults *faults);

/* Power off and on: the session is gone; long-term key, fail mode and counters stay. */
void engine_replug(struct engine *e);

/* There is room for the answers to another packet. If not, produce first. */
bool engine_ready(const struct engine *e);

/* Takes one packet, of at most ENGINE_PACKET_MAX bytes, from the host; engine_ready() holds. */
void engine_feed(struct engine *e, uint64_t now_ms, const uint8_t *packet, size_t len);

/*
 * Fills `ret` with the bytes that are due, whole frames as the wire leaves them, and returns how
 * many there are; `cap` is at least FAULTS_ROOM. Fewer than `cap - FAULTS_ROOM`: nothing more is
 * due before engine_deadline().
 */
size_t engine_produce(struct engine *e, uint64_t now_ms, uint8_t *ret, size_t cap);

/* When something is due, at the latest now; ENGINE_NO_DEADLINE: hanging. */
uint64_t engine_deadline(const struct engine *e);

/* The present long-term key. */
const uint8_t *engine_ltk(const struct engine *e);

#endif
