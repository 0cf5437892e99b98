/* SPDX-License-Identifier: MIT */
/*
 * Looks a name up as nsswitch.conf says: /etc/hosts, DNS, mDNS and others. getaddrinfo() waits for
 * the network, and parses bytes from strangers: each call is in a helper of its own
 * (lib/priv/helper.h), which has no key and no entropy.
 */
#ifndef LIB_PRIV_RESOLVER_H
#define LIB_PRIV_RESOLVER_H

#include "lib/address.h"
#include "lib/priv/helper.h"

#define RESOLVER_MAX 8 /* addresses of one name that are returned; in the system's order */

struct resolved {
	int error; /* of getaddrinfo() */
	size_t count;
	struct address at[RESOLVER_MAX];
};

extern const struct helper_role resolver_role;

/*
 * Starts to look for `where`. The helper's fd becomes readable when it is done, for
 * resolver_result(). 0 or -errno.
 */
int resolver_start(struct helper *ret, const struct address_host *where);

/* NULL with at least one address, or why there is none; stops the helper. */
const char *resolver_result(struct helper *helper, struct resolved *ret);

#endif
