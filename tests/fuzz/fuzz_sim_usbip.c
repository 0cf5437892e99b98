/* SPDX-License-Identifier: MIT */
/* Whatever a host says to the key on USB is answered at most once each, and does no harm. */
#include <stdlib.h>
#include <string.h>

#include "sim/usb_transfers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
	size_t submitted, unlinks, answered;
	size_t payload_left; /* of the answer that has begun */
};

static uint32_t
word(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* An answer is its header, and for transfers in the bytes that it announces. */
static void
hear(void *arg, const void *bytes, size_t len)
{
	struct host *host = arg;

	if (host->payload_left == len && len > 0) {
		host->payload_left = 0;
		return;
	}
	if (len != USBIP_HEADER_LEN || ++host->answered > host->submitted + 2 * host->unlinks)
		abort();
	host->payload_left =
		word((const uint8_t *)bytes) == 3 ? word((const uint8_t *)bytes + 24) : 0;
	if (host->payload_left > USBIP_DATA_MAX)
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
