/* SPDX-License-Identifier: MIT */
/*
 * The helper that connects to Unix sockets in one directory, to which only root may connect, as to
 * those on which QEMU offers the channels of Xen's guests. It keeps CAP_DAC_OVERRIDE, and takes
 * names that begin with CONNECT_HELPER_PREFIX and no other.
 */
#ifndef LIB_PRIV_CONNECT_HELPER_H
#define LIB_PRIV_CONNECT_HELPER_H

#include "lib/priv/helper.h"

#define CONNECT_HELPER_PREFIX "ekey-"
#define CONNECT_HELPER_NAME_MAX 108 /* of a file, with its NUL: the room in an address */

extern const struct helper_role connect_helper_role;

/* As helper_start(); -errno of `directory`, too. */
int connect_helper_start(struct helper *ret, const char *user, const char *directory);

/* Requests a connection to the socket `name`; one answer comes, in order. 0 or -errno. */
int connect_helper_request(struct helper *helper, const char *name);

/*
 * An answer: the connected fd (non-blocking, close-on-exec) or -errno of connect(2), with the name
 * that was requested. *ret_name is "" when there is none: -EAGAIN, not yet; -EPIPE, the helper has
 * ended.
 */
int connect_helper_answer(struct helper *helper, char ret_name[static CONNECT_HELPER_NAME_MAX]);

#endif
