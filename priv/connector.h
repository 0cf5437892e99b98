/* SPDX-License-Identifier: MIT */
/*
 * The connector: a servant that connects to Unix sockets in one directory which only root may
 * connect to, as those are on which QEMU offers the channels of Xen's guests. It keeps
 * CAP_DAC_OVERRIDE, and takes names that begin with CONNECTOR_PREFIX and no other.
 */
#ifndef PRIV_CONNECTOR_H
#define PRIV_CONNECTOR_H

#define CONNECTOR_PREFIX "ekey-"
#define CONNECTOR_NAME_MAX 108 /* of a file, with its NUL: what fits into an address */

/* Starts it, early as servant_start(). Our end of its socket, or -errno of `directory`. */
int connector_start(const char *directory);

/* Orders a connection to the socket `name`; one answer comes, in order. 0 or -errno. */
int connector_order(int connector, const char *name);

/*
 * An answer: the connected fd (non-blocking, close-on-exec) or -errno of connect(2), with the name
 * that was ordered. *ret_name is "" when there is none: -EAGAIN, not yet; -EPIPE, the connector is
 * gone.
 */
int connector_answer(int connector, char ret_name[static CONNECTOR_NAME_MAX]);

#endif
