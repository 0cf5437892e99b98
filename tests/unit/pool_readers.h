/* SPDX-License-Identifier: MIT */
/*
 * Readers who ask again as soon as they were answered, so that they always wait, and of whom is
 * known to the byte what they have been granted.
 */
#ifndef TESTS_UNIT_POOL_READERS_H
#define TESTS_UNIT_POOL_READERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pool/pool.h"

#define READERS 2048
#define POLLS 0 /* "need" of one who polls, then takes what is there */

struct reader {
	struct pool *pool;
	struct pool_client client;
	struct pool_handle h;
	struct pool_account account;
	struct pool_waiter *w;
	size_t need;     /* bytes of each request */
	bool reconnects; /* for each request */
	uint64_t got, answers;
};

struct rig {
	struct pool *pool;
	struct reader readers[READERS];
	unsigned len;
};

static inline int
readers_begin(void **state, size_t reserve)
{
	const struct pool_config config = {65536, 4 * READERS, 4 * READERS, reserve};
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig.pool = pool_new(&config);
	*state = &rig;
	return rig.pool != NULL ? 0 : -1;
}

static inline int
readers_set_up(void **state)
{
	return readers_begin(state, 0);
}

static inline int
readers_tear_down(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < rig->len; i++)
		pool_handle_close(rig->pool, &rig->readers[i].h);
	pool_free(&rig->pool);
	return 0;
}

static inline void reader_ready(struct pool_waiter *w, void *arg);

/* Never the only one who waits: nothing but the queue gives it bytes. */
static inline void
reader_ask(struct reader *r)
{
	if (r->need == POLLS) {
		assert_true(pool_poll_arm(r->pool, &r->h, reader_ready, r));
		return;
	}
	r->w = pool_wait(r->pool, &r->h, r->need, reader_ready, r);
	assert_non_null(r->w);
}

static inline void
reader_ready(struct pool_waiter *w, void *arg)
{
	struct reader *r = arg;
	uint8_t bytes[POOL_QUANTUM];
	size_t len = r->need;

	if (w == NULL)
		len = pool_take(r->pool, &r->h, bytes, sizeof(bytes));
	else
		pool_waiter_done(r->pool, w, true);
	r->got += len;
	r->answers++;
	if (r->reconnects) {
		pool_handle_close(r->pool, &r->h);
		assert_true(pool_handle_open(r->pool, &r->h, &r->account, &r->client));
	}
	reader_ask(r);
}

static inline struct reader *
reader_as(struct rig *rig, const struct pool_client *client, size_t need)
{
	struct reader *r = &rig->readers[rig->len++];

	assert_true(rig->len <= READERS);
	r->pool = rig->pool;
	r->client = *client;
	r->need = need;
	assert_true(pool_handle_open(rig->pool, &r->h, &r->account, client));
	reader_ask(r);
	return r;
}

static inline struct reader *
reader(struct rig *rig, uint64_t identity, size_t need)
{
	const struct pool_client client = {.number = identity, .weight = 1};

	return reader_as(rig, &client, need);
}

/* Bytes that it was given, answered or not. */
static inline uint64_t
granted(const struct reader *r)
{
	size_t len = r->h.stash_len;

	if (r->w != NULL)
		pool_waiter_bytes(r->w, &len);
	return r->got + len;
}

static inline void
assert_within(uint64_t a, uint64_t b, uint64_t most)
{
	if ((a < b ? b - a : a - b) > most)
		fail_msg("%llu and %llu bytes", (unsigned long long)a, (unsigned long long)b);
}

static inline void
put_zeros(struct rig *rig, size_t len)
{
	static const uint8_t bytes[4096];

	assert_int_equal(pool_put(rig->pool, bytes, len), len);
}

#endif
