/* SPDX-License-Identifier: MIT */
/*
 * The helper that gives bytes to the kernel's random generator, within limits. The credit takes
 * CAP_SYS_ADMIN in the process that makes the call (lib/priv/random.h).
 */
#ifndef LIB_PRIV_RNG_HELPER_H
#define LIB_PRIV_RNG_HELPER_H

#include "lib/priv/helper.h"

extern const struct helper_role rng_helper_role;

/*
 * Requests that `len` bytes (1 to PRIV_RANDOM_BYTES_MAX) are given to the kernel with a credit of
 * `bits`, and that the generator takes them now if `reseed`. Without credit they are only mixed in,
 * which takes no privilege. 0 when it was sent, and exactly one answer comes; else -errno.
 */
int rng_helper_feed(struct helper *helper, const uint8_t *bytes, size_t len, unsigned bits,
		    bool reseed);

/* Returns the answer: 0 or -errno of the act; -EAGAIN: not yet; -EPIPE: the helper has ended. */
int rng_helper_answer(struct helper *helper);

/* Requests, and waits for the answer, up to the role's timeout. */
int rng_helper_feed_and_wait(struct helper *helper, const uint8_t *bytes, size_t len, unsigned bits,
			     bool reseed);

#endif
