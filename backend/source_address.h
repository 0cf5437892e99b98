/* SPDX-License-Identifier: MIT */
/* The `address` of a [source] section: one, "usb" for many, or several with commas between them. */
#ifndef BACKEND_SOURCE_ADDRESS_H
#define BACKEND_SOURCE_ADDRESS_H

#include <stdbool.h>

#define SOURCE_ADDRESS_MAX 256
#define SOURCE_ADDRESS_ANY "usb"  /* every Entropy Key on USB that no other section names */
#define SOURCE_ADDRESS_USB "usb:" /* and the serial number of one */

/* Checks the form of one address; returns NULL, or what is wrong with it. */
const char *source_address_error(const char *address);

/* The same for a whole section's. */
const char *source_addresses_error(const char *addresses);

bool source_address_is_any(const char *address);
bool source_address_is_path(const char *address); /* of a tty, or "unix:PATH" */
bool source_address_is_usb(const char *address);  /* any, or one */
bool source_address_is_list(const char *address);

/* True when one of them is over TLS. */
bool source_addresses_use_tls(const char *addresses);

/*
 * Takes the next address, without the blanks around it, out of *rest, which is NULL after the last.
 * False: there is none.
 */
bool source_address_next(const char **rest, char ret[static SOURCE_ADDRESS_MAX]);

/* True when one of them is `one`. */
bool source_addresses_have(const char *addresses, const char *one);

#endif
