/* SPDX-License-Identifier: MIT */
/*
 * What is done with a source's bytes, and what they are worth: only bytes of a trusted source of
 * class direct enter the pool. The others may be mixed into the kernel's generator, uncredited.
 */
#ifndef BACKEND_TRUST_H
#define BACKEND_TRUST_H

#include "backend/source.h"

enum trust_fate {
	TRUST_POOL,
	TRUST_MIX,  /* into the kernel's generator, without credit */
	TRUST_NONE, /* there is no use for them: they are not even asked for */
};

struct trust {
	enum trust_fate fate;
	unsigned credit; /* bits per byte; 0 for all that does not enter the pool */
	/* NULL, or why they do not enter the pool, and what to write where they may. */
	const char *why, *cure;
};

/* `exposed`: strangers on the way may read and change the bytes (transport.h). */
struct trust trust_of(const struct source_config *config, bool exposed, bool can_mix);

#endif
