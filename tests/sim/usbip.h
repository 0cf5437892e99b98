/* SPDX-License-Identifier: MIT */
/*
 * The messages of USB/IP after a device was attached (Linux, Documentation/usb/usbip_protocol.rst),
 * without I/O: the host submits and unlinks transfers, the device returns them. All numbers are
 * big-endian. No isochronous transfers: a key has none.
 */
#ifndef TESTS_SIM_USBIP_H
#define TESTS_SIM_USBIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USBIP_HEADER_LEN 48
#define USBIP_SETUP_LEN 8
#define USBIP_DATA_MAX (1 << 20) /* bytes of one transfer */

enum usbip_kind { USBIP_SUBMIT = 1, USBIP_UNLINK = 2 };

struct usbip_command {
	enum usbip_kind kind;
	uint32_t sequence; /* its own name; the answer bears it */
	uint32_t unlink;   /* UNLINK: the name of the transfer to end */
	/* SUBMIT: */
	bool in;
	uint8_t endpoint; /* number, 0 to 15 */
	uint32_t len;     /* bytes that follow the header (out), or that there is room for (in) */
	uint8_t setup[USBIP_SETUP_LEN]; /* endpoint 0 */
};

/* False: not a command that a key can be given. */
bool usbip_parse(const uint8_t header[static USBIP_HEADER_LEN], struct usbip_command *ret);

/* Bytes that follow the header. */
size_t usbip_payload_len(const struct usbip_command *c);

/* `status` is 0 or -errno; `len` bytes were moved, and follow the header when they went in. */
void usbip_returned(uint32_t sequence, int status, uint32_t len,
		    uint8_t ret[static USBIP_HEADER_LEN]);

/* `status`: -ECONNRESET, the transfer is ended; 0, it had been returned before. */
void usbip_unlinked(uint32_t sequence, int status, uint8_t ret[static USBIP_HEADER_LEN]);

#endif
