/* SPDX-License-Identifier: MIT */
#include "daemon/seeds.h"

#include "base/hex.h"
#include "base/secret.h"
#include "daemon/daemon.h"

#define ROW_LEN 256 /* bytes: in hexadecimal they fit into a line */
#define SEED_LEN (2 * ROW_LEN)

static void
put_row(struct evbuffer *out, const uint8_t *bytes)
{
	char text[2 * ROW_LEN + 1];

	hex_encode(bytes, ROW_LEN, text);
	evbuffer_add_printf(out, "*\t%s\n", text);
	secret_wipe(text, sizeof(text));
}

/* All of it, or nothing is taken: the reserve is for this, too. */
static bool
take(struct daemon *d, uint8_t ret[static SEED_LEN])
{
	const struct pool_client client = {
		.kind = IDENTITY_UID, .weight = 1, .whole = true, .reserve = true};
	struct pool_handle handle;
	bool taken;

	if (!pool_handle_open(d->pool, &handle, &d->seeds, &client))
		return false;
	taken = pool_take(d->pool, &handle, ret, SEED_LEN) == SEED_LEN;
	pool_handle_close(d->pool, &handle);
	return taken;
}

const char *
seeds_order(void *arg, const struct ctl_request *request)
{
	uint8_t seed[SEED_LEN];

	if (!take(arg, seed))
		return "the pool has no 512 bytes that nobody waits for";
	put_row(request->out, seed);
	put_row(request->out, seed + ROW_LEN);
	secret_wipe(seed, sizeof(seed));
	return NULL;
}
