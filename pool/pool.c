/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/secret.h"
#include "pool/inside.h"

/* ---- life ---- */

static bool
pool_init(struct pool *pool, const struct pool_config *config)
{
	queue_init(&pool->common, &pool->identities);
	queue_init(&pool->privileged, &pool->identities);
	LIST_INIT(&pool->handles);
	pool->reserve_size = config->reserve;
	pool->handles_max = config->max_handles;
	pool->room_wanted = POOL_ROOM_NOT_WANTED;
	pool->identity_share = config->max_waiters / 4 > 0 ? config->max_waiters / 4 : 1;
	return ring_init(&pool->ring, config->size) &&
	       slots_init(&pool->waiters, sizeof(struct pool_waiter), config->max_waiters) &&
	       slots_init(&pool->stashes, POOL_QUANTUM, config->max_handles) &&
	       identities_init(&pool->identities, config->max_handles);
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
	identities_finish(&p->identities);
	slots_finish(&p->stashes);
	slots_finish(&p->waiters);
	ring_finish(&p->ring);
	secret_free(p, sizeof(*p));
	*pool = NULL;
}

/* ---- accounts: in = delivered + lost + granted + what is in the ring ---- */

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

void
pool_settle(struct pool *pool, struct pool_handle *h, size_t len, bool delivered)
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

void
pool_drained(struct pool *pool)
{
	if (ring_room(&pool->ring) < pool->room_wanted)
		return;
	pool->room_wanted = POOL_ROOM_NOT_WANTED; /* first: who is told may ask again at once */
	if (pool->on_room != NULL)
		pool->on_room(pool->on_room_arg);
}

/* All goes through the ring, so that a ready function that calls the pool finds it as always. */
size_t
pool_put(struct pool *pool, const uint8_t *bytes, size_t len)
{
	size_t room = ring_room(&pool->ring);
	size_t n = len < room ? len : room;

	if (!queue_is_empty(&pool->common))
		reserve_refill(pool, n);
	ring_put(&pool->ring, bytes, n);
	pool->in += n;
	pool_serve(pool);
	return n;
}

/* ---- handles ---- */

bool
pool_handle_open(struct pool *pool, struct pool_handle *h, struct pool_account *account,
		 const struct pool_client *client)
{
	struct queue *queue = &pool->common;

	assert(client->weight >= 1 && client->weight <= POOL_WEIGHT_MAX);
	if (client->reserve && pool->reserve_size > 0)
		queue = &pool->privileged;
	*h = (struct pool_handle){.account = account, .whole = client->whole};
	if (pool->handles_open == pool->handles_max)
		return false;
	h->identity = identities_join(&pool->identities, client, queue);
	if (h->identity == NULL)
		return false;
	h->place = (struct place){.circle = &h->identity->circle,
				  .outer = &h->identity->place,
				  .owner = h,
				  .quantum = POOL_QUANTUM};
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

static void
stash_lose(struct pool *pool, struct pool_handle *h)
{
	if (h->stash_len == 0)
		return;
	secret_wipe(h->stash, h->stash_len);
	pool_settle(pool, h, h->stash_len, false);
	h->stash_len = 0;
}

void
pool_handle_close(struct pool *pool, struct pool_handle *h)
{
	pool_waiters_cancel(pool, h);
	stash_lose(pool, h);
	if (h->stash != NULL)
		slots_give(&pool->stashes, h->stash);
	circle_remove(&h->place);
	identities_leave(&pool->identities, h->identity);
	LIST_REMOVE(h, open);
	*h = (struct pool_handle){0};
	pool->handles_open--;
	pool_serve(pool);
}

/* ---- taking ---- */

size_t
pool_stash_take(struct pool_handle *h, uint8_t *ret, size_t len)
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

size_t
pool_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len)
{
	struct queue *q = h->identity->queue;
	size_t n;

	if (h->whole && len > pool_ready(pool, h))
		return 0;
	n = pool_stash_take(h, ret, len);
	if (n < len && queue_is_empty(q))
		n += reserve_take(pool, h, ret + n, len - n);
	pool_settle(pool, h, n, true);
	pool_drained(pool);
	return n;
}

size_t
pool_ready(const struct pool *pool, const struct pool_handle *h)
{
	const struct queue *q = h->identity->queue;

	return h->stash_len + (queue_is_empty(q) ? reserve_there(pool, q) : 0);
}

size_t
pool_level(const struct pool *pool)
{
	return reserve_there(pool, &pool->common);
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
		pool_waiters_wipe(pool, h);
	}
	pool_drained(pool);
}
