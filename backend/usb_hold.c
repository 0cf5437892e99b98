/* SPDX-License-Identifier: MIT */
/* Who has which key. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/usb_registry.h"
#include "base/log.h"
#include "priv/usb.h"

#define USB_TTY_FOLDER "/dev/entropykey/" /* udev/60-ekey-random.rules */
#define USB_TALK_INTERFACE 0 /* the one that the kernel's driver probes; it takes both */

struct usb_reserved {
	struct usb_reserved *next;
	char serial[USB_SERIAL_MAX + 1];
};

void
usb_return_to_kernel(const struct usb_key *key)
{
	struct helper helper;

	if (key->was_claimed && priv_usb_start_at(&helper, key->address.bus, key->address.device,
						  PRIV_USB_ATTACH, USB_TALK_INTERFACE) == 0)
		helper_release(&helper);
}

bool
usb_reserve(struct usb *u, const char *serial)
{
	struct usb_reserved *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return false;
	strncpy(r->serial, serial, USB_SERIAL_MAX);
	r->next = u->reserved;
	u->reserved = r;
	usb_tell(u, NULL);
	return true;
}

void
usb_unreserve(struct usb *u, const char *serial)
{
	for (struct usb_reserved **at = &u->reserved; *at != NULL; at = &(*at)->next) {
		struct usb_reserved *r = *at;

		if (strcmp(r->serial, serial) == 0) {
			*at = r->next;
			free(r);
			usb_tell(u, NULL);
			return;
		}
	}
}

bool
usb_is_reserved(const struct usb *u, const char *serial)
{
	for (const struct usb_reserved *r = u->reserved; r != NULL; r = r->next)
		if (strcmp(r->serial, serial) == 0)
			return true;
	return false;
}

int
usb_hold(struct usb *u, const char *serial, struct usb_key **ret)
{
	int result = -ENODEV;

	/* Two with one serial number: the second serves when the first is taken. */
	for (struct usb_key *key = u->keys; key != NULL; key = key->next) {
		if (key->left || strcmp(key->identity.serial, serial) != 0)
			continue;
		result = key->fd >= 0 ? -EBUSY
				      : priv_open_usb(key->address.bus, key->address.device);
		if (result >= 0) {
			key->fd = result;
			key->on_left = NULL;
			*ret = key;
			return 0;
		}
	}
	return result == -ENOENT ? -ENODEV : result; /* its node went before we heard of it */
}

void
usb_give_back(struct usb *u, struct usb_key *key, bool to_kernel)
{
	if (to_kernel) {
		usb_return_to_kernel(key);
		key->was_claimed = false;
	}
	close(key->fd);
	key->fd = -1;
	if (key->left)
		usb_forget(u, key);
}

void
usb_offer_tty(struct usb_key *key, int error)
{
	char name[USB_SERIAL_MAX + 1];

	if (key->tty_offered || error == ENODEV || error == EACCES || error == EBUSY ||
	    error == ENOMEM)
		return;
	key->tty_offered = true;
	memcpy(name, key->identity.serial, sizeof(name));
	for (char *at = name; (at = strchr(at, '/')) != NULL;)
		*at = '_'; /* as usb_id of udev does */
	log_info("usb: key %s: if the fault stays, try the kernel's driver for this key:"
		 " address = " USB_TTY_FOLDER "%s",
		 key->identity.serial, name);
}
