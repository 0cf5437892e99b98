/* SPDX-License-Identifier: MIT */
/* Whatever a host says to the key on USB is answered at most once each, and does no harm. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/usb_transfers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
	size_t submitted, unlinks, answered;
};

/* What the device sends begins with 0, or a descriptor: no payload looks like an answer's header.
 */
static bool
is_header(const uint8_t *bytes, size_t len)
{
	return len == USBIP_HEADER_LEN && memcmp(bytes, "\0\0", 3) == 0 &&
	       (bytes[3] == 3 || bytes[3] == 4);
}

static void
hear(void *arg, const void *bytes, size_t len)
{
	struct host *host = arg;

	host->answered += is_header(bytes, len);
	if (host->answered > host->submitted + host->unlinks || len > USBIP_DATA_MAX)
		abort();
}

/* Enough that a transfer can be longer than all of it. */
static void
move(struct usb_transfers *t)
{
	static const uint8_t stream[200];
	uint8_t packet[USB_PACKET_LEN];

	if (usb_transfers_take(t, packet, sizeof(packet)) > sizeof(packet))
		abort();
	for (size_t at = 0, given = 1; given > 0 && at < sizeof(stream); at += given)
		given = usb_transfers_give(t, stream + at, sizeof(stream) - at);
}

/* The length of what follows the header is the fuzzer's to give; what it does not give is zeros. */
static size_t
submit(struct usb_transfers *t, const struct usbip_command *c, const uint8_t *data, size_t size)
{
	size_t payload = usbip_payload_len(c) < size ? usbip_payload_len(c) : size;
	struct urb *u = urb_new(c->sequence, c->len);

	if (u == NULL)
		abort();
	memcpy(u->data, data, payload);
	usb_transfers_submit(t, c, u);
	return payload;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t settings[FAULT_KINDS] = {
		[FAULT_USB_STALL] = 11,
		[FAULT_USB_EPROTO] = 7,
		[FAULT_USB_ZERO] = 5,
		[FAULT_USB_SHORT] = 3,
	};
	struct host host = {0};
	struct faults faults;
	struct usb_device device;
	struct usb_transfers transfers;
	struct usbip_command c;

	faults_init(&faults, settings, size);
	usb_device_init(&device, &faults, "NwBvBlg3OTBJORFD", size % 2 == 0);
	usb_transfers_init(&transfers, &device, hear, &host);
	while (size >= USBIP_HEADER_LEN && usbip_parse(data, &c)) {
		data += USBIP_HEADER_LEN;
		size -= USBIP_HEADER_LEN;
		if (c.kind == USBIP_SUBMIT) {
			size_t used;

			host.submitted++;
			used = submit(&transfers, &c, data, size);
			data += used;
			size -= used;
		} else {
			host.unlinks++;
			usb_transfers_unlink(&transfers, &c);
		}
		move(&transfers);
	}
	usb_transfers_drop(&transfers);
	return 0;
}
