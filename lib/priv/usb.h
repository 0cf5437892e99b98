/* SPDX-License-Identifier: MIT */
/*
 * Acts on a USB device. One that makes the kernel talk to the device may take it many seconds when
 * the device's firmware hangs: it is done by a helper (lib/priv/helper.h) that is started for it.
 */
#ifndef LIB_PRIV_USB_H
#define LIB_PRIV_USB_H

#include "lib/priv/helper.h"

#define USB_SERIAL_MAX 32 /* characters; a key's are 16 */
#define USB_TEXT_MAX 64   /* bytes of another text of theirs, with its NUL */

/* Texts from the key; only the serial number is never "". */
struct usb_identity {
	char serial[USB_SERIAL_MAX + 1];
	char manufacturer[USB_TEXT_MAX], product[USB_TEXT_MAX];
	char speed[8]; /* Mbit/s: "12" */
};

/* The usbfs node of device `device` on bus `bus`. fd (close-on-exec) or -errno. */
int priv_open_usb(unsigned bus, unsigned device);

/*
 * Claims the interface `number`, also from a driver of the kernel: 0, -EBUSY when another process
 * has it, or -errno. Nothing is sent to the device. Releasing an interface that is not claimed is
 * no error; closing `fd` releases all.
 */
int priv_usb_claim(int fd, unsigned number);
void priv_usb_release(int fd, unsigned number);

enum priv_usb_act {
	PRIV_USB_PROBE,      /* asks for its configuration, at most for `number` ms */
	PRIV_USB_RESET,      /* the device, as if it were plugged in again; interfaces unclaimed */
	PRIV_USB_CLEAR_HALT, /* of endpoint `number` */
	PRIV_USB_ATTACH,     /* the kernel's driver to interface `number`, which is not claimed */
	PRIV_USB_IDENTIFY,   /* `fd` is the folder of the device in sysfs */
};

extern const struct helper_role priv_usb_role;

/*
 * Starts an act on the usbfs node `fd`, which may be closed right after. The helper's fd becomes
 * readable when it is done, for priv_usb_result(). 0 or -errno.
 */
int priv_usb_start(struct helper *ret, int fd, enum priv_usb_act act, unsigned number);

/* The same on a node that the helper opens: opening waits, too, while the kernel resets the key. */
int priv_usb_start_at(struct helper *ret, unsigned bus, unsigned device, enum priv_usb_act act,
		      unsigned number);

/* 0 or -errno of the act that is done; stops the helper. */
int priv_usb_result(struct helper *helper);

/*
 * The same of PRIV_USB_IDENTIFY. False when the serial number is missing, longer, or not of plain
 * characters without blanks.
 */
bool priv_usb_identity(struct helper *helper, struct usb_identity *ret);

#endif
