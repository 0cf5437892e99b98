/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/secret.h"
#include "pool/inside.h"

/* ---- who waits ---- */

bool
pool_is_wanted(const struct pool *pool)
{
	return !queue_is_empty(&pool->queue);
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
	bool first = queue_is_empty(&pool->queue);

	queue_join(&pool->queue, w);
	if (first && pool->on_wanted != NULL)
		pool->on_wanted(pool->on_wanted_arg);
}

/* ---- slots ---- */

static struct pool_waiter *
waiter_new(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg)
{
	struct pool_waiter *w;

	if (h->identity->waiters >= pool->identity_share)
		return NULL;
	w = slots_take(&pool->waiters);
	if (w == NULL)
		return NULL;
	w->handle = h;
	w->ready = ready;
	w->arg = arg;
	h->identity->waiters++;
	h->account->waited++;
	return w;
}

/* Also takes it out of whichever list it is in. */
static void
waiter_free(struct pool *pool, struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	if (w->answered)
		TAILQ_REMOVE(&h->answered, w, order);
	else
		queue_leave(&pool->queue, w);
	if (h->poll == w)
		h->poll = NULL;
	h->identity->waiters--;
	slots_give(&pool->waiters, w);
}

/* ---- serving ---- */

/*
 * The outlet's function may do anything, also close the handle: when it is called the waiter is
 * where a later call expects it, and nothing here looks at waiter or handle after it.
 */
static void
waiter_answer(struct pool *pool, struct pool_waiter *w)
{
	queue_leave(&pool->queue, w);
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

static void
grant_to_waiter(struct pool *pool, struct pool_waiter *w, size_t most)
{
	size_t want = w->need - w->len;
	size_t n = ring_take(&pool->ring, w->bytes + w->len, want < most ? want : most);

	w->len += n;
	pool->granted += n;
	queue_spend(&pool->queue, n);
	if (w->len == w->need)
		waiter_answer(pool, w);
}

static void
grant_to_poll(struct pool *pool, struct pool_waiter *poll, size_t most)
{
	struct pool_handle *h = poll->handle;
	size_t want = POOL_QUANTUM - h->stash_len;
	size_t n = ring_take(&pool->ring, h->stash + h->stash_len, want < most ? want : most);

	h->stash_len += n;
	pool->granted += n;
	queue_spend(&pool->queue, n);
	if (h->stash_len == POOL_QUANTUM)
		poll_answer(pool, poll);
}

void
pool_serve(struct pool *pool)
{
	struct pool_waiter *w;
	size_t most;

	if (pool->serving)
		return;
	pool->serving = true;
	while (pool->ring.level > 0 && (w = queue_next(&pool->queue, &most)) != NULL) {
		if (w == w->handle->poll)
			grant_to_poll(pool, w, most);
		else
			grant_to_waiter(pool, w, most);
	}
	pool->serving = false;
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
	w->need = need;
	w->len = pool_stash_take(h, w->bytes, need);
	waiter_queue(pool, w);
	/*
	 * The ring's bytes, when nobody else waits: too few to be answered, and so few that whoever
	 * could be told about the room (POOL_ASK_MAX) was told before.
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

void
pool_waiter_done(struct pool *pool, struct pool_waiter *w, bool delivered)
{
	pool_settle(pool, w->handle, w->len, delivered);
	waiter_free(pool, w);
}

void
pool_waiters_cancel(struct pool *pool, struct pool_handle *h)
{
	struct pool_waiter *w;

	while ((w = TAILQ_FIRST(&h->answered)) != NULL || (w = TAILQ_FIRST(&h->waiters)) != NULL)
		pool_waiter_done(pool, w, false);
}

void
pool_waiters_wipe(struct pool *pool, struct pool_handle *h)
{
	struct pool_waiter *w;

	TAILQ_FOREACH(w, &h->waiters, order)
	{
		secret_wipe(w->bytes, sizeof(w->bytes));
		pool_settle(pool, h, w->len, false);
		w->len = 0;
	}
}

/* ---- polls ---- */

bool
pool_poll_arm(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg)
{
	if (h->poll != NULL) {
		h->poll->ready = ready;
		h->poll->arg = arg;
		return true;
	}
	if (pool_ready(pool, h) > 0)
		return false;
	h->poll = waiter_new(pool, h, ready, arg);
	if (h->poll == NULL)
		return false;
	waiter_queue(pool, h->poll);
	return true;
}

void
pool_poll_disarm(struct pool *pool, struct pool_handle *h)
{
	if (h->poll != NULL)
		waiter_free(pool, h->poll);
}
