/* SPDX-License-Identifier: MIT */
/* A guest's channel to its Xen host: a tty that is found by the channel's name. */
#ifndef BACKEND_XEN_TRANSPORT_H
#define BACKEND_XEN_TRANSPORT_H

#include "backend/transport.h"

extern const struct transport_kind transport_xen; /* "xen" */

#endif
