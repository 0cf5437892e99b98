/* SPDX-License-Identifier: MIT */
/*
 * What one frame costs on its whole way: the real source, session, intake and pool in a real event
 * loop, and a consumer that takes the bytes and wipes them. `decode ADDRESS KEYRING SECONDS` says
 * as one line of JSON how many frames' worth came out and what CPU time the process used.
 */
#include <err.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/source.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "tests/bench/ring.h"
#include "tests/bench/samples.h"

#define POOL_LEN (1 << 20)
#define TAKE_MS 1      /* at 100 MB/s the pool is a tenth full by then */
#define WARM_UP_MS 300 /* from the first byte: start-up samples, first page faults */
#define GIVE_UP_MS 10000

struct bench {
	struct event_base *base;
	struct pool *pool;
	struct pool_account account;
	struct pool_handle handle;
	uint64_t run_ns, begun_ns, deadline_ns; /* begun: 0 until the warm-up is over */
	uint64_t bytes, bytes_begun, cpu_begun_ns;
	uint8_t taken[65536];
};

static uint64_t
cpu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
begin(struct bench *b, uint64_t now_ns)
{
	b->begun_ns = now_ns;
	b->deadline_ns = now_ns + b->run_ns;
	b->bytes_begun = b->bytes;
	b->cpu_begun_ns = cpu_now_ns();
}

static void
report(const struct bench *b, uint64_t now_ns)
{
	printf("{\"frames\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64 "}\n",
	       (b->bytes - b->bytes_begun) / SESSION_BLOCK_LEN, cpu_now_ns() - b->cpu_begun_ns,
	       now_ns - b->begun_ns);
}

static void
on_take(evutil_socket_t fd, short what, void *arg)
{
	struct bench *b = arg;
	uint64_t now_ns = samples_now_ns();
	size_t n;

	(void)fd;
	(void)what;
	if (b->bytes == 0 && pool_level(b->pool) > 0)
		b->deadline_ns = now_ns + WARM_UP_MS * 1000000;
	while ((n = pool_take(b->pool, &b->handle, b->taken, sizeof(b->taken))) > 0) {
		secret_wipe(b->taken, n);
		b->bytes += n;
	}
	if (now_ns < b->deadline_ns)
		return;
	if (b->bytes == 0)
		errx(1, "no entropy within %d ms", GIVE_UP_MS);
	if (b->begun_ns == 0) {
		begin(b, now_ns);
		return;
	}
	report(b, now_ns);
	event_base_loopbreak(b->base);
}

static void
on_room(void *arg)
{
	source_room(arg);
}

static void
run(struct bench *b, const struct source_config *config, const struct keyring *ring)
{
	const struct source_env env = {.base = b->base, .pool = b->pool, .keyring = &ring};
	const struct timeval period = {.tv_usec = TAKE_MS * 1000};
	const struct pool_client client = {.weight = 1};
	struct event *take = event_new(b->base, -1, EV_PERSIST, on_take, b);
	struct source *source = source_new(&env, config);

	if (source == NULL || take == NULL || event_add(take, &period) != 0 ||
	    !pool_handle_open(b->pool, &b->handle, &b->account, &client))
		errx(1, "cannot start");
	pool_on_room(b->pool, on_room, source);
	b->deadline_ns = samples_now_ns() + GIVE_UP_MS * UINT64_C(1000000);
	event_base_dispatch(b->base);
	pool_handle_close(b->pool, &b->handle);
	source_free(&source);
	event_free(take);
}

int
main(int argc, char **argv)
{
	static const struct pool_config pool = {
		.size = POOL_LEN, .max_handles = 1, .max_waiters = 4};
	static struct bench b;
	struct source_config config = {.name = "bench", .h = HEALTH_H_DEFAULT};
	uint64_t seconds;
	struct keyring *ring;

	if (argc != 4 || source_address_error(argv[1]) != NULL ||
	    !num_parse(argv[3], 3600, &seconds))
		errx(2, "usage: decode ADDRESS KEYRING SECONDS");
	snprintf(config.address, sizeof(config.address), "%s", argv[1]);
	ring = ring_load(argv[2]);
	b.run_ns = seconds * 1000000000;
	b.base = event_base_new();
	b.pool = pool_new(&pool);
	if (b.base == NULL || b.pool == NULL)
		errx(1, "no memory");
	run(&b, &config, ring);
	pool_free(&b.pool);
	event_base_free(b.base);
	ring_free(&ring);
	return 0;
}
