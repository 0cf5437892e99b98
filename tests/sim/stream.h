/* SPDX-License-Identifier: MIT */
/*
 * The simulated entropy: block i of 32 bytes is SHA-256("ekeysim:" + seed + ":E:" + decimal i), so
 * that whatever comes out anywhere can be held against what went in. Without a seed: getrandom.
 * It goes on across sessions and re-keys for the life of the process.
 */
#ifndef TESTS_SIM_STREAM_H
#define TESTS_SIM_STREAM_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_BLOCK_LEN 32
#define STREAM_SEED_MAX 64 /* characters */

struct stream {
	EVP_MD_CTX *hash; /* NULL: no seed */
	uint64_t next;    /* index of the next block */
	size_t prefix_len;
	char message[STREAM_SEED_MAX + 40]; /* prefix, then the decimal index */
	size_t random_used;
	uint8_t random[4096]; /* getrandom is asked for many blocks at a time */
};

/* `seed` may be NULL. False: too long, or out of memory. */
bool stream_init(struct stream *s, const char *seed, uint64_t first_block);
void stream_finish(struct stream *s);

/* False only if the hash or getrandom fails. */
bool stream_next(struct stream *s, uint8_t ret[static STREAM_BLOCK_LEN]);

/* SHA-256("ekeysim:" + seed + ":" + name): keys of a device that has a seed and no given keys. */
bool stream_derive(const char *seed, const char *name, uint8_t ret[static 32]);

#endif
