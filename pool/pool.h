/* SPDX-License-Identifier: MIT */
/*
 * Healthy bytes in a locked ring, and the queue of the requests for them. Every byte leaves at most
 * once: taking is copying and wiping. Bytes granted to a client that vanished are wiped and counted
 * as lost, never given to another. Always: in = delivered + lost + held.
 *
 * Fair at each level: identities (a uid, an address) take turns, and within one its handles (open
 * files, connections) take turns, by bytes, kept across refills: neither big requests nor many
 * requests win. IPv6 addresses take theirs within those of their network, a /64. A blocked request
 * gathers its bytes turn by turn; a `whole` one waits until the ring holds all of it, requests
 * behind it wait too, and it pays with its next turns. No I/O, no clock, no allocation after
 * pool_new().
 *
 * Between calls either no request waits or the ring holds less than the first in turn needs, and
 * the reserve. One thread. A callback may call anything here but pool_free(), for its own handle
 * and for others.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pool/client.h"

#define POOL_QUANTUM 64      /* bytes of one turn of weight 1 */
#define POOL_WEIGHT_MAX 100  /* a turn of 6,400 bytes: two seconds of one key */
#define POOL_GATHER_MAX 256  /* bytes that a blocked request may collect before it is answered */
#define POOL_SIZE_MIN 8192   /* bytes of the smallest ring: an intake's held bytes fit into it */
#define POOL_ROOM_AGAIN 4096 /* bytes, or a quarter of a small ring: see pool_on_room() */
#define POOL_ASK_MAX (POOL_SIZE_MIN - POOL_GATHER_MAX)

struct pool;

/* The figures of one outlet (a device, a listener), which owns them. */
struct pool_account {
	uint64_t delivered; /* bytes handed over */
	uint64_t lost;      /* bytes granted to it and then wiped */
	uint64_t
		granted; /* bytes that its requests and polls have gathered, and not yet received */
	uint64_t requests; /* answered with at least one byte: the outlet counts them */
	uint64_t waited;   /* requests and polls that had to wait */
};

/* An identity that shares: found by kind and number, kept while it has handles. */
struct pool_identity;

/* One blocked request. Opaque; lives in the pool's locked memory. */
struct pool_waiter;
TAILQ_HEAD(pool_waiters, pool_waiter);

/* An identity's, or a handle's, place in the fair queue: see pool/drr.h. */
struct pool_flow {
	TAILQ_ENTRY(pool_flow) next; /* in the round, while it is queued */
	struct pool_round *round;
	struct pool_flow *outer;  /* shares its turns with this flow; NULL: none */
	struct pool_round *inner; /* of the flows that share its turns; NULL: none */
	void *owner;
	unsigned quantum; /* bytes of one turn */
	unsigned waiting; /* requests behind it */
	int deficit;      /* bytes left of its turns, while it is queued; below 0: a debt */
	bool queued;
};
TAILQ_HEAD(pool_round, pool_flow);

/*
 * One open file or connection. Owned by the outlet, which calls handle_open/close; the fields are
 * the pool's. `stash` are bytes granted to its armed poll, waiting for its next read.
 */
struct pool_handle {
	struct pool_identity *identity;
	struct pool_account *account;
	LIST_ENTRY(pool_handle) open; /* in the pool's list of open handles */
	bool whole;                   /* as in pool_client */
	struct pool_flow flow;        /* among its identity's */
	struct pool_waiters waiters;  /* its blocked requests, oldest first, then its poll */
	struct pool_waiters answered; /* ready was called, pool_waiter_done() was not yet */
	struct pool_waiter *poll;     /* armed poll in the queue, or NULL */
	size_t stash_len;
	uint8_t *stash; /* POOL_QUANTUM bytes in the pool's memory; NULL before its first poll */
};

/*
 * Called when a waiter has all its bytes (`waiter` is NULL for a poll); see pool_wait(). Must not
 * block. Called from pool_put(), when bytes came; and where a waiter that stood in front of it is
 * given up: pool_waiter_done(), pool_handle_close(). Never from within itself.
 */
typedef void pool_ready_fn(struct pool_waiter *waiter, void *arg);

struct pool_config {
	size_t size; /* bytes of the ring, >= POOL_SIZE_MIN + reserve */
	/* At once, all outlets together; one identity, or network, may have at most a quarter. */
	unsigned max_handles;
	unsigned max_waiters; /* blocked requests and armed polls */
	/*
	 * The ring's last bytes are for handles with `reserve` only: 0, or at least
	 * POOL_GATHER_MAX. While other handles wait, half of the incoming bytes fill it up: neither
	 * kind starves, however many wait.
	 */
	size_t reserve;
};

struct pool_totals {
	uint64_t in, delivered, lost; /* bytes since start */
	uint64_t wiped;               /* of the lost: in the ring, so in no account */
	uint64_t held;                /* bytes in the ring, with waiters and in stashes */
	uint64_t level, reserved;     /* bytes in the ring; of these, kept for `reserve` */
	uint64_t waiters;             /* blocked requests and armed polls now */
	uint64_t handles;
};

/* NULL when memory cannot be had. */
struct pool *pool_new(const struct pool_config *config);

/* Wipes everything; waiters and handles must be gone. NULLs the pointer. NULL is fine. */
void pool_free(struct pool **pool);

/* ---- filling ---- */

/* Bytes that pool_put() would take now. */
size_t pool_room(const struct pool *pool);

/*
 * True when pool_put() would take `len` bytes (at most POOL_ASK_MAX) now. When false, the function
 * of pool_on_room() will be called.
 */
bool pool_ask_room(struct pool *pool, size_t len);

/*
 * True when pool_level() is less than `level` now: for a source that is asked for bytes, and
 * keeps few of them ready. When false, the function of pool_on_room() will be called when it does.
 */
bool pool_ask_low(struct pool *pool, size_t level);

/*
 * `fn` is called once after one of these returned false, when there is room for the smallest
 * request refused, and of pool_ask_room() for POOL_ROOM_AGAIN: a reader of a full pool does not
 * start and stop the source for every block. All callers refused must then ask again. It is called
 * at the end of the call that made the room, perhaps inside another source's pool_put(): best note
 * it there and read the source later.
 */
void pool_on_room(struct pool *pool, void (*fn)(void *arg), void *arg);

/* True while a request waits for bytes. */
bool pool_is_wanted(const struct pool *pool);

/*
 * `fn` is called when the first request begins to wait: a source that takes its time should hurry.
 * It is called from within a request: best only schedule an event there.
 */
void pool_on_wanted(struct pool *pool, void (*fn)(void *arg), void *arg);

/*
 * Copies in at most pool_room() bytes and returns how many. Waiters are served at once, in fairness
 * order, and their ready functions called.
 */
size_t pool_put(struct pool *pool, const uint8_t *bytes, size_t len);

/* ---- taking ---- */

/* False when max_handles or the identity's quarter are open. */
bool pool_handle_open(struct pool *pool, struct pool_handle *h, struct pool_account *account,
		      const struct pool_client *client);

/*
 * True when the last eighth of max_handles, or of max_waiters, is in use: it is for clients that
 * have none yet.
 */
bool pool_handles_are_short(const struct pool *pool);
bool pool_waiters_are_short(const struct pool *pool);

/*
 * Cancels its waiters, answered or not (no ready call), wipes its stash, counts granted bytes as
 * lost.
 */
void pool_handle_close(struct pool *pool, struct pool_handle *h);

/*
 * Takes up to `len` bytes without waiting: the handle's stash first, then the ring, but the ring
 * only while no request waits in front. Returns bytes taken, 0 when it would have to wait; for a
 * `whole` handle `len` or 0. They count as delivered; if the hand-over then fails, call
 * pool_delivery_failed().
 */
size_t pool_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len);
void pool_delivery_failed(struct pool *pool, struct pool_handle *h, size_t len);

/* Bytes that pool_take() would give this handle now (stash, and the ring if no request waits). */
size_t pool_ready(const struct pool *pool, const struct pool_handle *h);

/* Bytes in the ring for handles without `reserve`: the answer of RNDGETENTCNT and EGD's 0x00 (x 8).
 */
size_t pool_level(const struct pool *pool);

/*
 * Queues a request for `need` bytes (1..POOL_GATHER_MAX), NULL when the limits are reached. Only
 * for more than pool_ready() bytes: pool_take() gives what is there. The stash is used first. When
 * all is gathered `ready` is called once, never from here; the waiter must then be ended with
 * pool_waiter_done(), there or later. A `whole` handle's gathers nothing before: leaving early
 * costs no byte.
 */
struct pool_waiter *pool_wait(struct pool *pool, struct pool_handle *h, size_t need,
			      pool_ready_fn *ready, void *arg);

/* The bytes gathered so far, *ret_len of them, in locked memory. */
const uint8_t *pool_waiter_bytes(const struct pool_waiter *w, size_t *ret_len);

/*
 * Ends a waiter, whether ready or not: its bytes are wiped, and counted as delivered or lost.
 * An interrupted read may deliver the bytes it had gathered. When it was not ready, waiters behind
 * it may be.
 */
void pool_waiter_done(struct pool *pool, struct pool_waiter *w, bool delivered);

/*
 * Arms this handle's poll: it waits its turn, after the handle's blocked requests, like a read of
 * POOL_QUANTUM bytes; granted bytes go to the stash (a read in the meantime finds them there, so
 * that one reader's bytes are in the stream's order). When the stash is full the poll is no longer
 * armed and `ready` is called once, never from here. Arming again replaces `ready`. False at the
 * limits, and when it need not wait: pool_ready() is a whole turn. Not for `whole` handles.
 */
bool pool_poll_arm(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg);

void pool_totals(const struct pool *pool, struct pool_totals *ret);

/*
 * Wipes the ring, the stashes and the bytes that waiters have gathered, and counts them as lost:
 * clones, orders, shutdown. Waiters go on waiting; bytes of answered waiters are on their way and
 * stay.
 */
void pool_wipe(struct pool *pool);

#endif
