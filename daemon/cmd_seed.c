/* SPDX-License-Identifier: MIT */
#include "daemon/cmd_seed.h"

#include <stdlib.h>

#include "daemon/daemon.h"
#include "lib/hex.h"
#include "lib/secret.h"

#define SEED_LEN 256 /* bytes: in hexadecimal they fit into a line */

_Static_assert(SEED_LEN <= POOL_GATHER_MAX, "one request of the pool is enough");

static const char no_place[] = "the pool has no room for another request: try again";

/* A command that waits for its bytes. */
struct seed {
	struct daemon *daemon;
	uint64_t ticket;
	struct pool_handle handle;
	LIST_ENTRY(seed) in_waiting;
};

static void
seed_free(struct seed *seed)
{
	LIST_REMOVE(seed, in_waiting);
	pool_handle_close(seed->daemon->pool, &seed->handle);
	free(seed);
}

static void
seed_reply(const struct seed *seed, const uint8_t bytes[static SEED_LEN])
{
	char text[2 * SEED_LEN + 1];

	hex_encode(bytes, SEED_LEN, text);
	ctl_reply(seed->daemon->control, seed->ticket, text, NULL);
	secret_wipe(text, sizeof(text));
}

static void
on_bytes(struct pool_waiter *waiter, void *arg)
{
	struct seed *seed = arg;
	size_t len;

	seed_reply(seed, pool_waiter_bytes(waiter, &len));
	pool_waiter_done(seed->daemon->pool, waiter, true);
	seed_free(seed);
}

/* Returns NULL when the pool has no room for another. */
static struct seed *
seed_new(struct daemon *d, uint64_t ticket)
{
	const struct pool_client client = {
		.kind = IDENTITY_SEEDS, .weight = 1, .whole = true, .reserve = true};
	struct seed *seed = calloc(1, sizeof(*seed));

	if (seed == NULL)
		return NULL;
	if (!pool_handle_open(d->pool, &seed->handle, &d->seeds, &client)) {
		free(seed);
		return NULL;
	}
	seed->daemon = d;
	seed->ticket = ticket;
	LIST_INSERT_HEAD(&d->seeds_waiting, seed, in_waiting);
	return seed;
}

const char *
cmd_seed(void *arg, const struct ctl_request *request)
{
	struct daemon *d = arg;
	struct seed *seed = seed_new(d, request->ticket);
	uint8_t bytes[SEED_LEN];

	if (seed == NULL)
		return no_place;
	if (pool_take(d->pool, &seed->handle, bytes, SEED_LEN) == SEED_LEN) {
		seed_reply(seed, bytes);
		secret_wipe(bytes, sizeof(bytes));
		seed_free(seed);
	} else if (pool_wait(d->pool, &seed->handle, SEED_LEN, on_bytes, seed) == NULL) {
		seed_free(seed);
		return no_place;
	}
	return ctl_later;
}

void
cmd_seed_gone(void *arg, uint64_t ticket)
{
	struct daemon *d = arg;
	struct seed *seed = LIST_FIRST(&d->seeds_waiting);

	while (seed != NULL && seed->ticket != ticket)
		seed = LIST_NEXT(seed, in_waiting);
	if (seed != NULL)
		seed_free(seed);
}
