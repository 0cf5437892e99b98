/* SPDX-License-Identifier: MIT */
/*
 * Lists of the configuration: of networks, "10.0.0.0/8, 2001:db8::/32, 192.0.2.7"; of proxies,
 * which are such networks, or users of this machine by name or number, "haproxy, 107".
 */
#ifndef EGD_ACL_H
#define EGD_ACL_H

#include <sys/types.h>

#include "lib/cidr.h"

#define EGD_ACL_MAX 16
#define EGD_ACL_TEXT_MAX 192 /* bytes with the NUL: a line of the configuration */

struct egd_acl {
	unsigned count;
	struct cidr at[EGD_ACL_MAX];
};

struct egd_proxies {
	struct egd_acl networks; /* of their addresses */
	unsigned count;
	uid_t uids[EGD_ACL_MAX]; /* of Unix sockets' peers */
};

/* NULL, or the error of the text; an empty one has no networks. */
const char *egd_acl_parse(const char *text, struct egd_acl *ret);

/* The same; looks users up. */
const char *egd_proxies_parse(const char *text, struct egd_proxies *ret);

/* Returns whether one of them contains the address. */
bool egd_acl_have(const struct egd_acl *networks, const struct address *address);

/* Returns whether a peer is one of them: by its user on a Unix socket, else by its address. */
bool egd_proxies_have(const struct egd_proxies *proxies, const struct address *address, uid_t uid);

/* Returns whether one contains an address of this machine, which any local user can use. */
bool egd_acl_have_own(const struct egd_acl *networks);

#endif
