/* SPDX-License-Identifier: MIT */
/*
 * The use of a source's bytes, and their credit: only bytes of a trusted source of class direct
 * enter the pool. Others may be mixed into the kernel's generator, without credit.
 */
#ifndef BACKEND_TRUST_H
#define BACKEND_TRUST_H

#include "backend/source.h"

enum trust_fate {
	TRUST_POOL,
	TRUST_MIX,  /* into the kernel's generator, without credit */
	TRUST_NONE, /* no use: the bytes are not even asked for */
};

/* Why a source is not trusted by default, and what to write to trust it. */
struct trust_doubt {
	const char *why, *cure;
};

extern const struct trust_doubt trust_exposed; /* strangers on the way (transport.h) */

struct trust {
	enum trust_fate fate;
	unsigned credit;          /* bits per byte; 0 for bytes that do not enter the pool */
	struct trust_doubt doubt; /* why they do not; `why` is NULL for those that do */
};

/* `doubt`: NULL: the source is trusted by default. */
struct trust trust_of(const struct source_config *config, const struct trust_doubt *doubt,
		      bool can_mix);

#endif
