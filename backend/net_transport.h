/* SPDX-License-Identifier: MIT */
/* Transports to other machines, without TLS: opened in the background, then as a Unix socket is. */
#ifndef BACKEND_NET_TRANSPORT_H
#define BACKEND_NET_TRANSPORT_H

#include "backend/transport.h"

extern const struct transport_kind transport_tcp;   /* "tcp:HOST:PORT", "tcp:[V6]:PORT" */
extern const struct transport_kind transport_vsock; /* "vsock:CID:PORT": a VM's host is CID 2 */

#endif
