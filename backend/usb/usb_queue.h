/* SPDX-License-Identifier: MIT */
/*
 * Which of a key's IN transfers are pending, and which packets wait to be taken: a ring, so that
 * packets are given in the order in which their transfers were submitted. Pure.
 */
#ifndef BACKEND_USB_USB_QUEUE_H
#define BACKEND_USB_USB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * At full speed the bus carries up to 19 packets in a millisecond; a key sends one in 12. With 16
 * queued the controller has work for us to be late by 0.8 ms at the worst, 180 ms with a key.
 */
#define USB_QUEUE_LEN 16

enum usb_slot_state { USB_SLOT_IDLE, USB_SLOT_PENDING, USB_SLOT_DONE };

/* All zero: every slot idle. */
struct usb_queue {
	struct {
		enum usb_slot_state state;
		size_t at, len; /* the rest of a packet that is done */
	} slots[USB_QUEUE_LEN];
	unsigned head;    /* the oldest that is not idle */
	unsigned next;    /* to be submitted */
	unsigned pending; /* how many */
};

/* The slot whose transfer is to be submitted now: it is pending. False when none is idle. */
bool usb_queue_submit(struct usb_queue *q, unsigned *ret_slot);

/* Takes the last usb_queue_submit() back: the transfer could not be submitted. */
void usb_queue_cancel(struct usb_queue *q);

/* The slot's transfer has ended, with `len` bytes. */
void usb_queue_complete(struct usb_queue *q, unsigned slot, size_t len);

/* The rest of the oldest packet: bytes [*ret_at, *ret_at + *ret_len) of its slot. False: none. */
bool usb_queue_front(struct usb_queue *q, unsigned *ret_slot, size_t *ret_at, size_t *ret_len);

/* `len` of its bytes were taken. */
void usb_queue_take(struct usb_queue *q, size_t len);

#endif
