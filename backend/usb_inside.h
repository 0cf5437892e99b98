/* SPDX-License-Identifier: MIT */
/*
 * What the two files of the USB transport share: usb_transport.c, its beginning and end, and
 * usb_traffic.c, its transfers and what it does about their faults.
 */
#ifndef BACKEND_USB_INSIDE_H
#define BACKEND_USB_INSIDE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/transport.h"
#include "backend/usb.h"
#include "backend/usb_descriptor.h"
#include "backend/usb_faults.h"
#include "backend/usb_queue.h"
#include "priv/usb.h"

#define USB_COMMANDS_LEN 256 /* bytes of commands that wait; one is 18 */
#define USB_DESCRIPTORS_LEN 1024

enum usb_phase {
	USB_PROBING,  /* until the key has shown that its firmware lives */
	USB_DRAINING, /* until the timer: packets are thrown away, commands wait */
	USB_RUNNING,
	USB_STOPPING,  /* after a fault: until no transfer flies */
	USB_UNHALTING, /* until the kernel has done it */
	USB_PAUSING,   /* until the timer */
	USB_RESETTING, /* until no transfer flies, then until the kernel has done it */
	USB_ENDED,     /* until no transfer flies; then we are gone */
};

struct usb_transport;

/* One of the transfers for the key's packets. */
struct usb_in {
	struct usb_transport *owner;
	struct libusb_transfer *transfer;
};

struct usb_transport {
	struct transport transport;
	struct transport_events events;
	struct event_base *base;
	struct usb *usb;
	struct usb_key *key;
	libusb_device_handle *handle; /* NULL while USB_PROBING */
	uint8_t descriptors[USB_DESCRIPTORS_LEN];
	size_t descriptors_len;
	struct usb_endpoints endpoints;
	uint32_t claimed; /* interfaces */
	enum usb_phase phase;
	struct event *work;   /* activated when there is something to do */
	struct event *timer;  /* of the phase */
	struct event *act;    /* the kernel is done; NULL: there is no act */
	struct helper helper; /* of `act` */
	bool reading;
	bool offer;     /* reading was switched on: the taker hears of it, with bytes or without */
	int error;      /* of USB_ENDED */
	bool told;      /* ... it was */
	uint8_t halted; /* endpoint, for USB_UNHALTING */
	struct usb_faults faults;
	struct usb_queue queue;
	struct usb_in in[USB_QUEUE_LEN];
	uint8_t *packets; /* USB_QUEUE_LEN times the longest packet, secret */
	struct libusb_transfer *out;
	bool out_flies;
	uint8_t sent[USB_COMMANDS_LEN], commands[USB_COMMANDS_LEN];
	size_t commands_len;
};

/* One packet has come, or will not; for usb_in.transfer. */
void LIBUSB_CALL usb_on_packet(struct libusb_transfer *transfer);

/* What there is to do is done from the loop, never from within libusb. */
void usb_work_later(struct usb_transport *t);
void usb_on_work(evutil_socket_t fd, short what, void *arg);

/* Enters `phase`, which ends in USB_RUNNING after `wait_ms`. */
void usb_timer(struct usb_transport *t, enum usb_phase phase, unsigned wait_ms);
void usb_on_timer(evutil_socket_t fd, short what, void *arg);

/* Enters a phase in which nothing flies. */
void usb_stop(struct usb_transport *t, enum usb_phase phase);

/* The transport is gone as soon as nothing flies; `error` is an errno. */
void usb_end(struct usb_transport *t, int error);
void usb_on_left(void *arg);

/* Asks the kernel to end all transfers; they fly until it has. */
void usb_cancel(struct usb_transport *t);
bool usb_flies(const struct usb_transport *t);

/* After USB_PROBING: makes the transfers ready. 0 or -errno. */
int usb_begin(struct usb_transport *t);

/* Gives up the interfaces. */
void usb_release(struct usb_transport *t);

/* The kernel does it apart, while the phase waits; no longer waits for it. */
void usb_act_start(struct usb_transport *t, enum priv_usb_act act, unsigned number);
void usb_act_free(struct usb_transport *t);

#endif
