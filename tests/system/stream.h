/* SPDX-License-Identifier: MIT */
/*
 * What a simulated key with a seed sends, and where in it some bytes come from. Reads of the device
 * are pieces of this stream; each byte of it may be delivered once.
 */
#ifndef TESTS_SYSTEM_STREAM_H
#define TESTS_SYSTEM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream {
	uint8_t *bytes;  /* the first `len` bytes the key sends */
	uint8_t *taken;  /* one per byte: times it was delivered */
	uint32_t *index; /* hash table of the 8-byte words at multiples of 8 */
	size_t len, mask;
	uint64_t located, loose; /* bytes found; bytes of pieces too short to find */
	uint64_t duplicate;      /* bytes in pieces that were delivered before */
	uint64_t foreign;        /* bytes in runs too long not to be found */
	uint64_t loose_value[256];
};

/* Block i is SHA-256("ekeysim:" SEED ":E:" i). Ends the process when there is no memory. */
void stream_init(struct stream *s, const char *seed, size_t len);

/*
 * Takes apart what one read() returned: with other readers about it may be several pieces of the
 * stream. Finds each piece of 15 bytes or more, marks it, and counts shorter ones as loose.
 */
void stream_account(struct stream *s, const uint8_t *read, size_t len);

/* True when all loose bytes can be among those that no piece covers. */
bool stream_loose_fit(const struct stream *s);

#endif
