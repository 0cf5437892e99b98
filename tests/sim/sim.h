/* SPDX-License-Identifier: MIT */
/* The running simulator: main.c begins and ends it, loop.c moves the bytes, say.c speaks of it. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/pem64.h"
#include "tests/sim/engine.h"
#include "tests/sim/options.h"
#include "tests/sim/port.h"
#include "tests/sim/report.h"
#include "tests/sim/stream.h"

/* Bytes made before they are written: about a thousand frames a system call. */
#define SIM_OUT_LEN 65536

struct sim {
	struct options options;
	struct engine engine;
	struct faults faults;
	struct stream stream;
	struct port port;
	struct port_usb usb;
	char serial[PEM64_TEXT_LEN(KEYED_SERIAL_LEN) + 1];
	uint64_t power_cycles; /* of the port, that the engine went through too */
	struct report_bytes bytes;
	int signals; /* signalfd */
	bool stop;
	uint64_t lt_rekeys_printed;
	size_t out_at, out_len;
	uint8_t out[SIM_OUT_LEN];
};

/* Waits until the device, the host or a signal has something, and does it. */
void sim_turn(struct sim *s);

/* One line in the log. */
void sim_greet(const struct sim *s);

/* The line of the keyring with the present long-term key: on stdout; in --keyring, false after a
 * line in the log. */
void sim_print_ltk(struct sim *s);
bool sim_write_keyring(struct sim *s);

/* All counters, on stderr. */
void sim_report(struct sim *s);

#endif
