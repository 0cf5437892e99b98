/* SPDX-License-Identifier: MIT */
/* An engine on the bench: fixed time, fixed randomness, and a look into its frames. */
#ifndef TESTS_UNIT_SIMRIG_H
#define TESTS_UNIT_SIMRIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/engine.h"
#include "tests/sim/stream.h"

#define SIMRIG_SEED "demo" /* the seed of the vectors' entropy stream */
#define SIMRIG_SERIAL "NwBvBlg3OTBJORFD"

struct simrig {
	struct engine engine;
	struct faults faults;
	struct engine_config config;
	struct stream stream;
	uint64_t settings[FAULT_KINDS];
	uint64_t now_ms;
	uint8_t device[32]; /* what the device draws for its part of a key */
	uint8_t key[32];    /* session key, once simrig_key() was called */
	size_t out_len;
	uint8_t out[1 << 20]; /* all it sent since the last simrig_run() */
};

/* An engine with the vectors' serial, at rate 0. Change config and settings, then start. */
void simrig_init(struct simrig *r);
void simrig_start(struct simrig *r);
void simrig_finish(struct simrig *r);

/* The host writes `text`, in packets of `packet` bytes. */
void simrig_host(struct simrig *r, const char *text, size_t packet);

/* What the device sends now, at most `max` bytes, into out. */
void simrig_run(struct simrig *r, size_t max);

/* Reset and session key with an empty nonce; what was sent until then is dropped. */
void simrig_key(struct simrig *r);

/* Session key that follows from the rig's long-term key, `device` and this nonce, into key. */
void simrig_expect_key(struct simrig *r, const uint8_t *nonce, size_t len);

/* Frames in out of this type ('*': any), by position. */
size_t simrig_count(const struct simrig *r, char type);
const uint8_t *simrig_frame(const struct simrig *r, size_t index);

/* The frame's MAC is right under `key` (NULL: the key of zeros). */
bool simrig_mac_ok(const uint8_t *frame, const uint8_t *key);

/* The next frame that is not an information frame; it is in out. */
const uint8_t *simrig_next(struct simrig *r);

unsigned simrig_subcode(const uint8_t *frame);

/* The 32 bytes of an entropy frame, decrypted with the rig's session key. */
void simrig_block(const struct simrig *r, const uint8_t *frame, uint8_t ret[static 32]);

/* One rig, made before each test and gone after it. */
extern struct simrig rig;
int simrig_set_up(void **state);
int simrig_tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, simrig_set_up, simrig_tear_down)

#endif
