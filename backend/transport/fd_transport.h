/* SPDX-License-Identifier: MIT */
/* Transports over a file descriptor in the event loop: a tty, a Unix stream socket. */
#ifndef BACKEND_TRANSPORT_FD_TRANSPORT_H
#define BACKEND_TRANSPORT_FD_TRANSPORT_H

#include "backend/transport/transport.h"

extern const struct transport_kind transport_unix; /* "unix:/PATH" */
extern const struct transport_kind transport_tty;  /* "/PATH", "tty:/PATH" */
/* "xen": a guest's channel to its Xen host, a tty that is found by the channel's name. */
extern const struct transport_kind transport_xen;

/* One over a connected socket, which it takes over. 0, or -errno and `fd` is still the caller's. */
int fd_transport_over(struct event_base *base, int fd, const struct transport_events *events,
		      struct transport **ret);

#endif
