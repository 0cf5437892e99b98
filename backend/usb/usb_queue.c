/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb_queue.h"

bool
usb_queue_submit(struct usb_queue *q, unsigned *ret_slot)
{
	if (q->slots[q->next].state != USB_SLOT_IDLE)
		return false;
	q->slots[q->next].state = USB_SLOT_PENDING;
	q->pending++;
	*ret_slot = q->next;
	q->next = (q->next + 1) % USB_QUEUE_LEN;
	return true;
}

void
usb_queue_cancel(struct usb_queue *q)
{
	q->next = (q->next + USB_QUEUE_LEN - 1) % USB_QUEUE_LEN;
	q->slots[q->next].state = USB_SLOT_IDLE;
	q->pending--;
}

void
usb_queue_complete(struct usb_queue *q, unsigned slot, size_t len)
{
	q->slots[slot].state = USB_SLOT_DONE;
	q->slots[slot].at = 0;
	q->slots[slot].len = len;
	q->pending--;
}

bool
usb_queue_front(struct usb_queue *q, unsigned *ret_slot, size_t *ret_at, size_t *ret_len)
{
	/* Packets that are empty, or taken whole, leave the ring. */
	while (q->slots[q->head].state == USB_SLOT_DONE && q->slots[q->head].len == 0) {
		q->slots[q->head].state = USB_SLOT_IDLE;
		q->head = (q->head + 1) % USB_QUEUE_LEN;
	}
	if (q->slots[q->head].state != USB_SLOT_DONE)
		return false;
	*ret_slot = q->head;
	*ret_at = q->slots[q->head].at;
	*ret_len = q->slots[q->head].len;
	return true;
}

void
usb_queue_take(struct usb_queue *q, size_t len)
{
	q->slots[q->head].at += len;
	q->slots[q->head].len -= len;
}
