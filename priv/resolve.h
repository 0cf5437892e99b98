/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses by the system's own means, as nsswitch.conf says: /etc/hosts, DNS, mDNS and
 * what else there is. getaddrinfo() waits for the network, and parses what strangers send: both in
 * a process of its own (priv/child.h), where no key and no entropy is.
 */
#ifndef PRIV_RESOLVE_H
#define PRIV_RESOLVE_H

#include <stddef.h>

#include "base/address.h"

#define PRIV_RESOLVE_MAX 8 /* addresses of one name that are told; in the system's order */
#define PRIV_RESOLVE_S 10  /* longest wait, in seconds */

struct priv_resolved {
	int error; /* of getaddrinfo() */
	size_t count;
	struct address at[PRIV_RESOLVE_MAX];
};

/*
 * Starts to look for `where`. Returns an fd that becomes readable when it is done, at the latest
 * after PRIV_RESOLVE_S, for priv_resolve_result(); or -errno. Closing it instead is fine.
 */
int priv_resolve_start(const struct address_host *where);

/* NULL with at least one address, or why there is none; closes `result_fd`. */
const char *priv_resolve_result(int result_fd, struct priv_resolved *ret);

#endif
