/* SPDX-License-Identifier: MIT */
/* Building the 64-byte frames that the device sends. doc/protocol.md 2. */
#ifndef TESTS_SIM_FRAMES_H
#define TESTS_SIM_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/keyed.h"

#define FRAMES_LEN 64      /* bytes of a frame, fixed */
#define FRAMES_TEXT_MAX 50 /* characters of a text payload */
#define FRAMES_BYTES_MAX 36

/* "TYPE>": `text` padded with spaces, and cut to what fits. */
void frames_text(const struct keyed *mac, char type, const char *text,
		 uint8_t ret[static FRAMES_LEN]);

/* "TYPE!": 12-bit sub-code and at most FRAMES_BYTES_MAX bytes. */
void frames_binary(const struct keyed *mac, char type, unsigned subcode, const uint8_t *bytes,
		   size_t len, uint8_t ret[static FRAMES_LEN]);

/* "E!": a block under the pad of its sequence number. */
void frames_entropy(const struct keyed *mac, const struct keyed *pad, unsigned sequence,
		    const uint8_t block[static 32], uint8_t ret[static FRAMES_LEN]);

#endif
