/* SPDX-License-Identifier: MIT */
/* The line of counters: what was sent, asked and done wrong on order, so that tests can balance. */
#ifndef TESTS_SIM_REPORT_H
#define TESTS_SIM_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "tests/sim/engine.h"
#include "tests/sim/faults.h"
#include "tests/sim/usb_device.h"

/* What became of the bytes that the engine gave out. */
struct report_bytes {
	uint64_t written;
	uint64_t dropped; /* not yet written when the host went */
	uint64_t waiting;
	uint64_t hosts; /* connections */
};

/* "ekey-sim: blocks=... frames=... ...", one line, written at once. `usb` may be NULL. */
void report(FILE *to, const struct engine_counters *counters, const struct faults *faults,
	    const struct report_bytes *bytes, const struct usb_counters *usb);

#endif
