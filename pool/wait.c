/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "base/secret.h"
#include "pool/inside.h"

/* ---- who waits ---- */

bool
pool_is_wanted(const struct pool *pool)
{
	return !queue_is_empty(&pool->common) || !queue_is_empty(&pool->privileged);
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

	pool->reserved = reserve_level(pool); /* from the first of common on it is counted */
	queue_join(w);
	if (first && pool->on_wanted != NULL)
		pool->on_wanted(pool->on_wanted_arg);
}

/* ---- slots ---- */

static struct pool_waiter *
waiter_new(struct pool *pool, struct pool_handle *h, pool_ready_fn *ready, void *arg)
{
	struct pool_waiter *w;

	if (identity_first(h->identity)->waiters >= pool->identity_share)
		return NULL;
	w = slots_take(&pool->waiters);
	if (w == NULL)
		return NULL;
	w->handle = h;
	w->ready = ready;
	w->arg = arg;
	identity_first(h->identity)->waiters++;
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
		queue_leave(w);
	if (h->poll == w)
		h->poll = NULL;
	identity_first(h->identity)->waiters--;
	slots_give(&pool->waiters, w);
}

/* ---- serving ---- */

/*
 * The outlet's function may do anything, also close the handle: when it is called the waiter is
 * where a later call expects it, and nothing here looks at waiter or handle after it.
 */
static void
waiter_answer(struct pool_waiter *w)
{
	queue_leave(w);
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
grant_to_waiter(struct pool *pool, struct pool_waiter *w, size_t n)
{
	reserve_take(pool, w->handle, w->bytes + w->len, n);
	w->len += (unsigned)n;
	queue_spend(w, n);
	if (w->len == w->need)
		waiter_answer(w);
}

static void
grant_to_poll(struct pool *pool, struct pool_waiter *poll, size_t n)
{
	struct pool_handle *h = poll->handle;

	reserve_take(pool, h, h->stash + h->stash_len, n);
	h->stash_len += n;
	queue_spend(poll, n);
	if (h->stash_len == POOL_QUANTUM)
		poll_answer(pool, poll);
}

static bool
is_poll(const struct pool_waiter *w)
{
	return w == w->handle->poll;
}

/* Who of this queue is given something now, and how many bytes; NULL: nobody can be. */
static struct pool_waiter *
serve_next(struct pool *pool, struct queue *q, size_t *ret_n)
{
	size_t there = reserve_there(pool, q), most, want;
	struct pool_waiter *w = there > 0 ? queue_next(q, &most) : NULL;

	if (w == NULL)
		return NULL;
	want = is_poll(w) ? POOL_QUANTUM - w->handle->stash_len : w->need - w->len;
	if (w->handle->whole) {
		*ret_n = want;
		return want <= there ? w : NULL;
	}
	if (most > there)
		most = there;
	*ret_n = want < most ? want : most;
	return w;
}

void
pool_serve(struct pool *pool)
{
	struct pool_waiter *w;
	size_t n;

	if (pool->serving || !pool_is_wanted(pool))
		return;
	pool->serving = true;
	while ((w = serve_next(pool, &pool->common, &n)) != NULL ||
	       (w = serve_next(pool, &pool->privileged, &n)) != NULL) {
		if (is_poll(w))
			grant_to_poll(pool, w, n);
		else
			grant_to_waiter(pool, w, n);
	}
	pool->serving = false;
	pool_drained(pool);
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
	w->len = (unsigned)pool_stash_take(h, w->bytes, need);
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

static void
waiter_end(struct pool *pool, struct pool_waiter *w, bool delivered)
{
	pool_settle(pool, w->handle, w->len, delivered);
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

void
pool_waiters_cancel(struct pool *pool, struct pool_handle *h)
{
	struct pool_waiter *w;

	while ((w = TAILQ_FIRST(&h->answered)) != NULL || (w = TAILQ_FIRST(&h->waiters)) != NULL)
		waiter_end(pool, w, false);
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

static bool
stash_have(struct pool *pool, struct pool_handle *h)
{
	if (h->stash == NULL)
		h->stash = slots_take(&pool->stashes);
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
	pool_serve(pool); /* what there is, as in pool_wait() */
	return true;
}
