/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a connection: for the pool, which shares by identity, and the log. */
#ifndef EGD_CALLER_H
#define EGD_CALLER_H

#include <sys/types.h>

#include "base/address.h"
#include "pool/client.h"

#define EGD_CALLER_TEXT_MAX 256

struct egd_caller {
	struct address address; /* as the socket or a trusted proxy says */
	uid_t uid;              /* of a Unix socket's peer; else meaningless */
	const char *guest;      /* of Xen, whose channel it is; NULL: none. Not ours. */
};

/* Takes a connection from `listener`: the fd, or -errno as net_accept(). */
int egd_caller_accept(int listener, struct egd_caller *ret);

/* Fills in kind, number and host. `name` is what TLS has proven, or "": then the address counts. */
void egd_caller_identity(const struct egd_caller *caller, const char *name,
			 struct pool_client *ret);

/* Equal for two connections of one peer: what limits the lines about it in the log. */
uint64_t egd_caller_number(const struct egd_caller *caller);

/* "192.0.2.7:4711", "uid 107", "psk:web1 at 192.0.2.7:4711", "guest web1". */
void egd_caller_text(const struct egd_caller *caller, const char *name,
		     char ret[static EGD_CALLER_TEXT_MAX]);

#endif
