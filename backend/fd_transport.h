/* SPDX-License-Identifier: MIT */
/* Transports over a file descriptor in the event loop: a tty, and a Unix stream socket. */
#ifndef BACKEND_FD_TRANSPORT_H
#define BACKEND_FD_TRANSPORT_H

#include "backend/transport.h"

extern const struct transport_kind transport_unix; /* "unix:/PATH" */
extern const struct transport_kind transport_tty;  /* "/PATH" */

#endif
