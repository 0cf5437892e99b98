/* SPDX-License-Identifier: MIT */
#include "pool/pool.h"

#include <assert.h>
#include <string.h>

#include "lib/secret.h"
#include "pool/drr.h"
#include "pool/ring.h"
#include "pool/slab.h"

#define POOL_ROOM_NOT_WANTED SIZE_MAX

struct pool {
	struct ring ring;
	struct drr drr;
	struct drr_queue common, privileged; /* handles without, and with, a right to the reserve */
	size_t reserve_size;
	size_t reserved; /* bytes of the ring, while common is not empty: see reserve_level() */
	bool serving;    /* pool_serve() is at work: calls from inside it leave the queues to it */
	struct slab waiters, stashes;
	unsigned handles_open, handles_max;
	unsigned identity_share; /* waiters that one identity may hold */
	LIST_HEAD(open_handles, pool_handle) handles;
	uint64_t in, delivered, lost, wiped; /* as in pool_totals */
	uint64_t granted;                    /* bytes with waiters and in stashes */
	size_t room_wanted; /* smallest that was refused, or POOL_ROOM_NOT_WANTED */
	void (*on_room)(void *arg);
	void *on_room_arg;
	void (*on_wanted)(void *arg);
	void *on_wanted_arg;
};

/* ---- life ---- */

static bool
pool_init(struct pool *pool, const struct pool_config *config)
{
	drr_queue_init(&pool->common);
	drr_queue_init(&pool->privileged);
	LIST_INIT(&pool->handles);
	pool->reserve_size = config->reserve;
	pool->handles_max = config->max_handles;
	pool->room_wanted = POOL_ROOM_NOT_WANTED;
	pool->identity_share = config->max_waiters / 4 > 0 ? config->max_waiters / 4 : 1;
	return ring_init(&pool->ring, config->size) &&
	       slab_init(&pool->waiters, sizeof(struct pool_waiter), config->max_waiters) &&
	       slab_init(&pool->stashes, POOL_QUANTUM, config->max_handles) &&
	       drr_init(&pool->drr, config->max_handles);
}

struct pool *
pool_new(const struct pool_config *config)
{
	struct pool *pool;

	assert(config->reserve == 0 || config->reserve >= POOL_GATHER_MAX);
	assert(config->size >= POOL_SIZE_MIN && config->size - POOL_SIZE_MIN >= config->reserve);
	assert(config->max_handles > 0 && config->max_waiters > 0);
	pool = secret_new(sizeof(*pool));
	if (pool != NULL && !pool_init(pool, config))
		pool_free(&pool);
	return pool;
}

void
pool_free(struct pool **pool)
{
	struct pool *p = *pool;

	if (p == NULL)
		return;
	assert(LIST_EMPTY(&p->handles) && !p->serving);
	drr_finish(&p->drr);
	slab_finish(&p->stashes);
	slab_finish(&p->waiters);
	ring_finish(&p->ring);
	secret_free(p, sizeof(*p));
	*pool = NULL;
}

/* ---- accounts: in = delivered + lost + granted + the ring's level ---- */

static void
count(struct pool *pool, struct pool_account *account, size_t len, bool delivered)
{
	if (delivered) {
		pool->delivered += len;
		account->delivered += len;
	} else {
		pool->lost += len;
		account->lost += len;
	}
}

/* Granted bytes of a handle are delivered or lost. */
static void
settle(struct pool *pool, struct pool_handle *h, size_t len, bool delivered)
{
	assert(len <= pool->granted);
	pool->granted -= len;
	h->account->granted -= len;
	count(pool, h->account, len, delivered);
}

void
pool_delivery_failed(struct pool *pool, struct pool_handle *h, size_t len)
{
	assert(len <= h->account->delivered);
	pool->delivered -= len;
	h->account->delivered -= len;
	count(pool, h->account, len, false);
}

/* ---- the reserve ---- */

/*
 * While no request of the common queue waits, the last `reserve_size` bytes of the ring are the
 * reserve, and incoming bytes fill that up first. While requests wait, half of the incoming bytes
 * do: to fill it first then, too, would let a kernel feed that always asks starve all others; to
 * serve the others first would leave the kernel nothing under load, when it matters. Halves bound
 * both, and need one number.
 */
static size_t
reserve_level(const struct pool *pool)
{
	size_t level = pool->ring.level;

	if (pool->common.waiting > 0)
		return pool->reserved;
	return level < pool->reserve_size ? level : pool->reserve_size;
}

/* Adds its part of `len` incoming bytes while common is not empty. */
static void
reserve_refill(struct pool *pool, size_t len)
{
	size_t half = (size_t)((pool->in + len) / 2 - pool->in / 2); /* exact, byte by byte too */
	size_t room = pool->reserve_size - pool->reserved;

	pool->reserved += half < room ? half : room;
}

/* Returns how many bytes of the ring the handles of `q` may have. */
static size_t
reserve_there(const struct pool *pool, const struct drr_queue *q)
{
	if (q == &pool->common)
		return pool->ring.level - reserve_level(pool);
	return pool->common.waiting == 0 ? pool->ring.level : pool->reserved;
}

/* Moves at most `len` of the bytes that `h` may have to `ret`, as granted; returns how many. */
static size_t
reserve_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len)
{
	const struct drr_queue *q = h->identity->queue;
	size_t there = reserve_there(pool, q);
	size_t n = ring_take(&pool->ring, ret, len < there ? len : there);

	if (q == &pool->privileged && pool->common.waiting > 0)
		pool->reserved -= n;
	pool->granted += n;
	h->account->granted += n;
	return n;
}

size_t
pool_ready(const struct pool *pool, const struct pool_handle *h)
{
	const struct drr_queue *q = h->identity->queue;

	return h->stash_len + (q->waiting == 0 ? reserve_there(pool, q) : 0);
}

size_t
pool_level(const struct pool *pool)
{
	return reserve_there(pool, &pool->common);
}

void
pool_totals(const struct pool *pool, struct pool_totals *ret)
{
	*ret = (struct pool_totals){
		.in = pool->in,
		.delivered = pool->delivered,
		.lost = pool->lost,
		.wiped = pool->wiped,
		.held = pool->ring.level + pool->granted,
		.level = pool->ring.level,
		.reserved = reserve_level(pool),
		.waiters = pool->waiters.used,
		.handles = pool->handles_open,
	};
}

/* ---- stashes ---- */

/* Moves the oldest bytes, at most `len`, to `ret`. They stay granted. */
static size_t
stash_take(struct pool_handle *h, uint8_t *ret, size_t len)
{
	size_t n = len < h->stash_len ? len : h->stash_len;

	if (n == 0)
		return 0; /* even wiping nothing costs 100 ns where a page was never touched */
	memcpy(ret, h->stash, n);
	h->stash_len -= n;
	memmove(h->stash, h->stash + n, h->stash_len);
	secret_wipe(h->stash + h->stash_len, n);
	return n;
}

static void
stash_lose(struct pool *pool, struct pool_handle *h)
{
	if (h->stash_len == 0)
		return;
	secret_wipe(h->stash, h->stash_len);
	settle(pool, h, h->stash_len, false);
	h->stash_len = 0;
}

/* ---- waiters ---- */

bool
pool_is_wanted(const struct pool *pool)
{
	return pool->common.waiting > 0 || pool->privileged.waiting > 0;
}

void
pool_on_wanted(struct pool *pool, void (*fn)(void *arg), void *arg)
{
	pool->on_wanted = fn;
	pool->on_wanted_arg = arg;
}

static void
waiter_queue(struct pool *pool, struct pool_waiter *w)
{
	bool first = !pool_is_wanted(pool);

	pool->reserved = reserve_level(pool); /* counted while common has waiters */
	drr_join(w);
	if (first && pool->on_wanted != NULL)
		pool->on_wanted(pool->on_wanted_arg);
}

static struct pool_waiter *
waiter_new(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg)
{
	struct pool_waiter *w;

	if (identity_outer(h->identity)->waiters >= pool->identity_share)
		return NULL;
	w = slab_take(&pool->waiters);
	if (w == NULL)
		return NULL;
	w->handle = h;
	w->ready = ready;
	w->arg = arg;
	identity_outer(h->identity)->waiters++;
	h->account->waited++;
	return w;
}

/* Also removes it from its list. */
static void
waiter_free(struct pool *pool, struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	if (w->answered)
		TAILQ_REMOVE(&h->answered, w, order);
	else
		drr_leave(w);
	if (h->poll == w)
		h->poll = NULL;
	identity_outer(h->identity)->waiters--;
	slab_give(&pool->waiters, w);
}

/* ---- serving ---- */

/* Calls on_room for refused sources; the last act of a call that took from the ring. */
static void
room_made(struct pool *pool)
{
	if (ring_room(&pool->ring) < pool->room_wanted)
		return;
	pool->room_wanted = POOL_ROOM_NOT_WANTED; /* first: the function may ask again at once */
	if (pool->on_room != NULL)
		pool->on_room(pool->on_room_arg);
}

/*
 * The outlet's function may do anything, also close the handle: before it is called the waiter is
 * where a later call expects it, and neither waiter nor handle is used after it.
 */
static void
waiter_answer(struct pool_waiter *w)
{
	drr_leave(w);
	w->answered = true;
	TAILQ_INSERT_TAIL(&w->handle->answered, w, order);
	w->ready(w, w->arg);
}

static void
poll_answer(struct pool *pool, struct pool_waiter *poll)
{
	pool_ready_fn *ready = poll->ready;
	void *arg = poll->arg;

	waiter_free(pool, poll);
	ready(NULL, arg);
}

static bool
is_poll(const struct pool_waiter *w)
{
	return w == w->handle->poll;
}

static size_t
waiter_missing(const struct pool_waiter *w)
{
	return is_poll(w) ? POOL_QUANTUM - w->handle->stash_len : w->need - w->len;
}

static void
grant(struct pool *pool, struct pool_waiter *w, size_t n)
{
	struct pool_handle *h = w->handle;
	bool poll = is_poll(w);

	reserve_take(pool, h, poll ? h->stash + h->stash_len : w->bytes + w->len, n);
	drr_spend(w, n);
	if (poll)
		h->stash_len += n;
	else
		w->len += (unsigned)n;
	if (waiter_missing(w) > 0)
		return;
	if (poll)
		poll_answer(pool, w);
	else
		waiter_answer(w);
}

/* Returns the waiter that is given bytes now, and how many; NULL: none can be. */
static struct pool_waiter *
serve_next(struct pool *pool, struct drr_queue *q, size_t *ret_n)
{
	size_t there = reserve_there(pool, q), most, want;
	struct pool_waiter *w = there > 0 ? drr_next(&pool->drr, q, &most) : NULL;

	if (w == NULL)
		return NULL;
	want = waiter_missing(w);
	if (w->handle->whole) {
		*ret_n = want;
		return want <= there ? w : NULL;
	}
	if (most > there)
		most = there;
	*ret_n = want < most ? want : most;
	return w;
}

/*
 * Gives the ring's bytes to the waiters, turn by turn, until one of them lacks bytes. Called when
 * bytes came, and when a waiter that may have been in front has left; the last act of a call, as it
 * calls outlets.
 */
static void
pool_serve(struct pool *pool)
{
	struct pool_waiter *w;
	size_t n;

	if (pool->serving || !pool_is_wanted(pool))
		return;
	pool->serving = true;
	while ((w = serve_next(pool, &pool->common, &n)) != NULL ||
	       (w = serve_next(pool, &pool->privileged, &n)) != NULL)
		grant(pool, w, n);
	pool->serving = false;
	room_made(pool);
}

/* ---- filling ---- */

size_t
pool_room(const struct pool *pool)
{
	return ring_room(&pool->ring);
}

bool
pool_ask_room(struct pool *pool, size_t len)
{
	size_t again = pool->ring.size / 4;

	assert(len <= POOL_ASK_MAX);
	if (len <= ring_room(&pool->ring))
		return true;
	if (again > POOL_ROOM_AGAIN)
		again = POOL_ROOM_AGAIN;
	if (len < again)
		len = again;
	if (len < pool->room_wanted)
		pool->room_wanted = len;
	return false;
}

bool
pool_ask_low(struct pool *pool, size_t level)
{
	size_t room;

	if (pool_level(pool) < level)
		return true;
	room = pool->ring.size - reserve_level(pool) - level + 1;
	if (room < pool->room_wanted)
		pool->room_wanted = room;
	return false;
}

void
pool_on_room(struct pool *pool, void (*fn)(void *arg), void *arg)
{
	pool->on_room = fn;
	pool->on_room_arg = arg;
}

/* All bytes go through the ring, so that a ready function may call the pool. */
size_t
pool_put(struct pool *pool, const uint8_t *bytes, size_t len)
{
	size_t room = ring_room(&pool->ring);
	size_t n = len < room ? len : room;

	if (pool->common.waiting > 0)
		reserve_refill(pool, n);
	ring_put(&pool->ring, bytes, n);
	pool->in += n;
	pool_serve(pool);
	return n;
}

/* ---- taking ---- */

size_t
pool_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len)
{
	struct drr_queue *q = h->identity->queue;
	size_t n;

	if (h->whole && len > pool_ready(pool, h))
		return 0;
	n = stash_take(h, ret, len);
	if (n < len && q->waiting == 0)
		n += reserve_take(pool, h, ret + n, len - n);
	settle(pool, h, n, true);
	room_made(pool);
	return n;
}

/* ---- requests ---- */

struct pool_waiter *
pool_wait(struct pool *pool, struct pool_handle *h, size_t need, pool_ready_fn *ready, void *arg)
{
	struct pool_waiter *w;

	assert(need >= 1 && need <= POOL_GATHER_MAX && need > pool_ready(pool, h));
	w = waiter_new(pool, h, ready, arg);
	if (w == NULL)
		return NULL;
	w->need = (unsigned)need;
	w->len = (unsigned)stash_take(h, w->bytes, need);
	waiter_queue(pool, w);
	/* Grants the ring's bytes when no other waits: too few to answer it, or to make new room.
	 */
	pool_serve(pool);
	return w;
}

const uint8_t *
pool_waiter_bytes(const struct pool_waiter *w, size_t *ret_len)
{
	*ret_len = w->len;
	return w->bytes;
}

static void
waiter_end(struct pool *pool, struct pool_waiter *w, bool delivered)
{
	settle(pool, w->handle, w->len, delivered);
	waiter_free(pool, w);
}

void
pool_waiter_done(struct pool *pool, struct pool_waiter *w, bool delivered)
{
	bool was_queued = !w->answered;

	waiter_end(pool, w, delivered);
	if (was_queued)
		pool_serve(pool);
}

/* ---- polls ---- */

static bool
stash_have(struct pool *pool, struct pool_handle *h)
{
	if (h->stash == NULL)
		h->stash = slab_take(&pool->stashes);
	return h->stash != NULL;
}

bool
pool_poll_arm(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg)
{
	if (h->poll != NULL) {
		h->poll->ready = ready;
		h->poll->arg = arg;
		return true;
	}
	assert(!h->whole);
	if (pool_ready(pool, h) >= POOL_QUANTUM || !stash_have(pool, h))
		return false;
	h->poll = waiter_new(pool, h, ready, arg);
	if (h->poll == NULL)
		return false;
	waiter_queue(pool, h->poll);
	pool_serve(pool); /* grants the ring's bytes, as in pool_wait() */
	return true;
}

/* ---- handles ---- */

bool
pool_handle_open(struct pool *pool, struct pool_handle *h, struct pool_account *account,
		 const struct pool_client *client)
{
	struct drr_queue *queue = &pool->common;

	assert(client->weight >= 1 && client->weight <= POOL_WEIGHT_MAX);
	if (client->reserve && pool->reserve_size > 0)
		queue = &pool->privileged;
	*h = (struct pool_handle){.account = account, .whole = client->whole};
	if (pool->handles_open == pool->handles_max || !drr_open(&pool->drr, h, client, queue))
		return false;
	TAILQ_INIT(&h->waiters);
	TAILQ_INIT(&h->answered);
	LIST_INSERT_HEAD(&pool->handles, h, open);
	pool->handles_open++;
	return true;
}

bool
pool_handles_are_short(const struct pool *pool)
{
	return pool->handles_open >= pool->handles_max - pool->handles_max / 8;
}

bool
pool_waiters_are_short(const struct pool *pool)
{
	return pool->waiters.used >= pool->waiters.max - pool->waiters.max / 8;
}

/* Ends all its waiters as lost; serves none yet. */
static void
waiters_cancel(struct pool *pool, struct pool_handle *h)
{
	struct pool_waiter *w;

	while ((w = TAILQ_FIRST(&h->answered)) != NULL || (w = TAILQ_FIRST(&h->waiters)) != NULL)
		waiter_end(pool, w, false);
}

void
pool_handle_close(struct pool *pool, struct pool_handle *h)
{
	waiters_cancel(pool, h);
	stash_lose(pool, h);
	if (h->stash != NULL)
		slab_give(&pool->stashes, h->stash);
	drr_close(&pool->drr, h);
	LIST_REMOVE(h, open);
	*h = (struct pool_handle){0};
	pool->handles_open--;
	pool_serve(pool);
}

/* Wipes the gathered bytes of queued waiters, which go on waiting. */
static void
waiters_wipe(struct pool *pool, struct pool_handle *h)
{
	struct pool_waiter *w;

	TAILQ_FOREACH(w, &h->waiters, order)
	{
		secret_wipe(w->bytes, sizeof(w->bytes));
		settle(pool, h, w->len, false);
		w->len = 0;
	}
}

void
pool_wipe(struct pool *pool)
{
	struct pool_handle *h;
	size_t n = ring_wipe(&pool->ring);

	pool->reserved = 0;
	pool->lost += n;
	pool->wiped += n;
	LIST_FOREACH(h, &pool->handles, open)
	{
		stash_lose(pool, h);
		waiters_wipe(pool, h);
	}
	room_made(pool);
}
