/* SPDX-License-Identifier: MIT */
/*
 * A transport over TLS 1.3: to another machine, and with a peer who has proven who he is. What
 * proves it is in transport_env.tls; the name that a certificate must have is that of the address,
 * unless another is given there.
 */
#ifndef BACKEND_TLS_TRANSPORT_H
#define BACKEND_TLS_TRANSPORT_H

#include "backend/transport.h"

extern const struct transport_kind transport_tls; /* "tls:HOST:PORT", "tls:[V6]:PORT" */

#endif
