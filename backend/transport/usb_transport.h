/* SPDX-License-Identifier: MIT */
/*
 * A transport to an Entropy Key on USB. No CDC request is sent: the key's firmware crashes on those
 * for DTR and RTS, and needs none. While it is open the kernel does not suspend the key.
 */
#ifndef BACKEND_TRANSPORT_USB_TRANSPORT_H
#define BACKEND_TRANSPORT_USB_TRANSPORT_H

#include "backend/transport/transport.h"

extern const struct transport_kind transport_usb; /* "usb:SERIAL" */

#endif
