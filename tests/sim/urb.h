/* SPDX-License-Identifier: MIT */
/* USB transfers that the host has submitted and that are not over, in the order they came. */
#ifndef TESTS_SIM_URB_H
#define TESTS_SIM_URB_H

#include <stddef.h>
#include <stdint.h>

struct urb {
	struct urb *next; /* in its list */
	uint32_t sequence;
	size_t len;  /* bytes there are (out) or room for (in) */
	size_t done; /* bytes moved so far */
	uint8_t data[];
};

/* First come, first served. */
struct urb_list {
	struct urb *first;
};

/* NULL: no memory. */
struct urb *urb_new(uint32_t sequence, size_t len);

/* Wipes its data. */
void urb_free(struct urb *u);

void urb_append(struct urb_list *list, struct urb *u);

/* Takes it off the list; NULL: it is not there. */
struct urb *urb_take(struct urb_list *list, uint32_t sequence);

void urb_free_all(struct urb_list *list);

#endif
