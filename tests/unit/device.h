/* SPDX-License-Identifier: MIT */
/* The device's side of the protocol, just enough of it to make frames for tests (tests/sim/ is
 * whole). */
#ifndef TESTS_UNIT_DEVICE_H
#define TESTS_UNIT_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/frame.h"
#include "backend/ekey/keyed.h"

#define DEVICE_BLOCK_LEN 32

struct device {
	uint8_t serial[KEYED_SERIAL_LEN];
	uint8_t ltk[KEYED_SECRET_LEN];
	struct keyed mac, pad;
	unsigned sequence;   /* of the next entropy frame */
	uint64_t next_block; /* never reset: tells blocks of different sessions apart */
};

/* The serial of the published frames, an arbitrary long-term key, just reset. */
void device_init(struct device *d);
void device_reset(struct device *d);

void device_text(const struct device *d, char type, const char *text, uint8_t ret[FRAME_LEN]);
void device_bytes(const struct device *d, char type, unsigned subcode, const void *bytes,
		  size_t len, uint8_t ret[FRAME_LEN]);

void device_serial(const struct device *d, uint8_t ret[FRAME_LEN]);
void device_ask(const struct device *d, uint8_t ret[FRAME_LEN]);

/* K under the key in force; then the new keys are. */
void device_answer(struct device *d, const uint8_t *nonce, size_t nonce_len,
		   uint8_t ret[FRAME_LEN]);

/* The next block under the next sequence number. */
void device_entropy(struct device *d, uint8_t ret[FRAME_LEN]);

/* What block `index` holds, and back: UINT64_MAX when it is no block of ours. */
void device_block(uint64_t index, uint8_t ret[DEVICE_BLOCK_LEN]);
uint64_t device_block_index(const uint8_t block[DEVICE_BLOCK_LEN]);

/* Writes the MAC of the content, and start and end of the frame. */
void device_seal(const struct device *d, uint8_t frame[FRAME_LEN]);

#endif
