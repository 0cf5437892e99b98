/* SPDX-License-Identifier: MIT */
/*
 * The gate between one source and the pool: only bytes that are healthy by our tests and by the
 * source's own report go in. Start-up samples are held until they pass, then released, or wiped.
 *
 *     START-UP -> ACTIVE -> QUARANTINE -> PROBATION -> ACTIVE
 *                             ^  (any failure)  |
 *                             +-----------------+
 */
#ifndef POOL_INTAKE_H
#define POOL_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/health.h"
#include "pool/pool.h"

#define INTAKE_STARTUP_LEN 1024   /* bytes; SP 800-90B 4.3: at least 1,024 samples */
#define INTAKE_PROBATION_LEN 4096 /* stricter: four times as many without a failure */
#define INTAKE_QUARANTINE_MS 60000
#define INTAKE_BLOCK_MAX 1024 /* bytes in one intake_put() */

enum intake_state { INTAKE_STARTUP, INTAKE_ACTIVE, INTAKE_QUARANTINE, INTAKE_PROBATION };

enum intake_cause {
	INTAKE_CAUSE_NONE,
	INTAKE_CAUSE_REPETITION,
	INTAKE_CAUSE_PROPORTION,
	INTAKE_CAUSE_BADNESS
};

/* in = pooled + rejected + held, always; `in` counts bytes offered by the source. */
struct intake_counters {
	uint64_t in;       /* bytes */
	uint64_t pooled;   /* bytes the pool took */
	uint64_t rejected; /* bytes wiped: unhealthy, quarantined, or put without room */
	uint64_t held;     /* bytes waiting for the start-up test to end */
	uint64_t alarms;   /* times quarantine began */
};

/* Holds entropy: allocate it with secret_new(). Fields are the intake's own. */
struct intake {
	struct pool *pool;
	struct health health;
	enum intake_state state;
	enum intake_cause cause; /* of the last quarantine */
	char badness;            /* the source's own report; '0' is good */
	uint64_t until_ms;       /* end of quarantine */
	struct intake_counters counters;
	size_t held_len;
	uint8_t held[INTAKE_PROBATION_LEN];
};

/* `h`: claimed min-entropy, bits per byte (HEALTH_H_DEFAULT). */
void intake_init(struct intake *in, struct pool *pool, unsigned h);

/*
 * Room for one more block? When false the source must stop being read: intake_put() would have to
 * drop bytes. pool_on_room() tells when to ask again. While bytes are held, or rejected, the pool's
 * room does not matter until they are released: room for the held bytes and the block is then asked
 * for together, so that a release is never partial.
 */
bool intake_has_room(const struct intake *in, size_t len);

/*
 * Tests and pools `len` bytes (at most INTAKE_BLOCK_MAX); the caller has asked intake_has_room()
 * and wipes its own copy. A block in which a test fails is rejected whole. True when the state
 * changed or quarantine began: the edge logs it.
 */
bool intake_put(struct intake *in, const uint8_t *bytes, size_t len, uint64_t now_ms);

/*
 * The source's authenticated opinion of itself: other than '0' quarantines, and keeps it there
 * after its time. True when the state changed.
 */
bool intake_badness(struct intake *in, char badness, uint64_t now_ms);

/* In quarantine: its earliest end, before which a source need not be asked for bytes; else 0. */
uint64_t intake_quarantined_until(const struct intake *in);

/*
 * A new connection to the same or another key: start-up again, held bytes wiped, no opinion yet.
 * But quarantine and probation are not left by reconnecting; probation starts again.
 */
void intake_restart(struct intake *in);

const char *intake_state_text(enum intake_state state);
const char *intake_cause_text(enum intake_cause cause);

#endif
