/* SPDX-License-Identifier: MIT */
#include "guest/seed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/xen_seed.h"
#include "base/xenstore.h"
#include "guest/exit.h"
#include "priv/random.h"
#include "priv/rng_helper.h"

_Static_assert(XEN_SEED_LEN <= PRIV_RANDOM_BYTES_MAX, "a seed is fed at once");

static int
take(uint8_t ret[static XEN_SEED_LEN])
{
	int store = xenstore_open(), result;

	if (store < 0)
		return store;
	result = xen_seed_take(store, ret);
	close(store);
	return result;
}

int
seed_feed(const struct options *options, struct helper *rng)
{
	unsigned bits = XEN_SEED_LEN * options->credit;
	uint8_t seed[XEN_SEED_LEN];
	int result = take(seed);

	if (result < 0) {
		log_warn("xenstore has no seed for this guest: %s", strerror(-result));
		return FEED_EXIT_NO_SEED;
	}
	result = rng_helper_feed_and_wait(rng, seed, sizeof(seed), bits, true);
	secret_wipe(seed, sizeof(seed));
	if (result < 0) {
		log_err("cannot feed the kernel's random generator: %s", strerror(-result));
		return FEED_EXIT_KERNEL;
	}
	log_info("fed the kernel's random generator with the host's seed of %d bytes and a credit"
		 " of %u bits",
		 XEN_SEED_LEN, bits);
	return FEED_EXIT_OK;
}
