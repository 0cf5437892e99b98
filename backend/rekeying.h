/* SPDX-License-Identifier: MIT */
/* A change of the long-term key on a source's open link, and who wants to know of it. */
#ifndef BACKEND_REKEYING_H
#define BACKEND_REKEYING_H

#include "backend/link.h"
#include "backend/source_log.h"
#include "ekey/rekey.h"

/* Told of each new state; after REKEY_CLOSED of no more. It must not call the source. */
typedef void rekeying_fn(void *arg, const struct rekey *rekey);

/* All zero: no change is under way. Fields are its own, but for `rekey`, which may be asked. */
struct rekeying {
	struct rekey rekey;
	struct link *link;
	const struct source_log *log;
	rekeying_fn *fn;
	void *arg;
};

bool rekeying_active(const struct rekeying *r);

void rekeying_begin(struct rekeying *r, const uint8_t serial[static KEYED_SERIAL_LEN],
		    const uint8_t mac[static KEYED_MAC_LEN], uint64_t now_ms);

/* See rekey_change(). */
bool rekeying_change(struct rekeying *r, const uint8_t nonce[static REKEY_NONCE_LEN],
		     uint64_t now_ms);

/* What the link brings, and time. These return true when it has failed: end it. */
bool rekeying_take(struct rekeying *r, const uint8_t *bytes, size_t len, uint64_t now_ms);
bool rekeying_tick(struct rekeying *r, uint64_t now_ms);

/* It is over, one way or another; nothing when it was before. */
void rekeying_end(struct rekeying *r);

#endif
