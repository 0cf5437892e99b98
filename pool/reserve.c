/* SPDX-License-Identifier: MIT */
/*
 * Which of the ring's bytes are for whom. While nobody of the common queue waits, the last
 * `reserve_size` are the reserve, and what comes fills that up first: nobody misses it. While they
 * wait, half of what comes does. To fill it first then, too, would let a kernel feed that always
 * asks starve all others; to serve them first would leave the kernel nothing under load, when it
 * matters; halves bound both, and need one number.
 */
#include "pool/inside.h"

size_t
reserve_level(const struct pool *pool)
{
	size_t level = pool->ring.level;

	if (!queue_is_empty(&pool->common))
		return pool->reserved;
	return level < pool->reserve_size ? level : pool->reserve_size;
}

void
reserve_refill(struct pool *pool, size_t len)
{
	size_t half = (size_t)((pool->in + len) / 2 - pool->in / 2); /* exact, byte by byte too */
	size_t room = pool->reserve_size - pool->reserved;

	pool->reserved += half < room ? half : room;
}

size_t
reserve_there(const struct pool *pool, const struct queue *q)
{
	if (q == &pool->common)
		return pool->ring.level - reserve_level(pool);
	return queue_is_empty(&pool->common) ? pool->ring.level : pool->reserved;
}

size_t
reserve_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len)
{
	const struct queue *q = h->identity->queue;
	size_t there = reserve_there(pool, q);
	size_t n = ring_take(&pool->ring, ret, len < there ? len : there);

	if (q == &pool->privileged && !queue_is_empty(&pool->common))
		pool->reserved -= n;
	pool->granted += n;
	h->account->granted += n;
	return n;
}
