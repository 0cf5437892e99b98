/* SPDX-License-Identifier: MIT */
#include "egd/feed/seed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/priv/rng_helper.h"
#include "lib/secret.h"
#include "lib/xen_channel.h"
#include "lib/xen_seed.h"
#include "lib/xenstore.h"

_Static_assert(XEN_SEED_LEN <= PRIV_RANDOM_BYTES_MAX, "a seed is fed at once");

static void
log_no_seed(int error)
{
	if (error == ENODEV)
		log_warn("no seed: %s; ask a server: --from", xen_channel_error_text(ENOENT));
	else if (error == EACCES)
		log_warn("no seed: only root can open /dev/xen/xenbus: start ekey-feed as root");
	else if (error == ENOENT)
		log_warn("no seed: xenstore has no " XEN_SEED_PATH " for this guest: on the host, "
			 "ekeyctl xen-seed DOMAIN leaves one");
	else
		log_warn("no seed: xenstore: %s", strerror(error));
}

/* 0 or -errno; -ENODEV: this is no guest of Xen. */
static int
take(uint8_t ret[static XEN_SEED_LEN])
{
	int store = xenstore_open(), result;

	if (store < 0)
		return store == -ENOENT ? -ENODEV : store;
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
		log_no_seed(-result);
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
