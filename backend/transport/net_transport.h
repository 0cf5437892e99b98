/* SPDX-License-Identifier: MIT */
/*
 * Transports to other machines, opened in the background: the name is looked up, its addresses are
 * tried one after the other, and the connection is then carried as a Unix socket is. TLS is spoken
 * by ekey-tls (lib/priv/tls_channel.h): bytes here are plaintext, and the name that a server's
 * certificate must have is that of the address.
 */
#ifndef BACKEND_TRANSPORT_NET_TRANSPORT_H
#define BACKEND_TRANSPORT_NET_TRANSPORT_H

#include "backend/transport/transport.h"

extern const struct transport_kind transport_tcp;   /* "tcp:HOST:PORT", "tcp:[V6]:PORT" */
extern const struct transport_kind transport_tls;   /* "tls:HOST:PORT", "tls:[V6]:PORT" */
extern const struct transport_kind transport_vsock; /* "vsock:CID:PORT": a VM's host is CID 2 */

#endif
