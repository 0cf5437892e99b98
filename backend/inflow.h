/* SPDX-License-Identifier: MIT */
/*
 * The reading side of an fd: bytes that were read and that the transport's receiver has not taken,
 * and the events on it. While nothing is read only a hang-up wakes us.
 */
#ifndef BACKEND_INFLOW_H
#define BACKEND_INFLOW_H

#include "backend/transport.h"

/* All zero: closed. */
struct inflow {
	struct event *readable, *removal; /* the latter tells of a hang-up, and goes once */
	int removal_fd;
	bool reading;
	uint8_t *bytes; /* `cap`, secret; `len` of them at `at` are not yet taken */
	size_t cap, at, len;
};

/* Reads at once. `fd` stays the caller's. False: closed again; no memory or no fds. */
bool inflow_open(struct inflow *in, struct event_base *base, int fd, size_t cap,
		 event_callback_fn readable, event_callback_fn removal, void *arg);

/* Before the fd is closed. Wipes. */
void inflow_close(struct inflow *in);

/* Neither event comes any more. */
void inflow_stop(struct inflow *in);

/* Gives what is held, and wipes what is taken; true when that was all, and more is wanted. */
bool inflow_offer(struct inflow *in, const struct transport_events *events);

/* `len` bytes were read to `bytes`, when none were held. */
void inflow_fill(struct inflow *in, size_t len);

/* As transport_kind.set_reading. */
void inflow_set_reading(struct inflow *in, bool on);

#endif
