/* SPDX-License-Identifier: MIT */
/* The command line of ekey-sim. */
#ifndef TESTS_SIM_OPTIONS_H
#define TESTS_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/engine.h"
#include "tests/sim/faults.h"
#include "tests/sim/port.h"

struct options {
	const char *listen;         /* the port's address */
	const char *keyring, *seed; /* or NULL */
	uint64_t first_block;
	uint64_t split; /* most bytes of one write */
	uint64_t fault_seed;
	uint64_t faults[FAULT_KINDS];
	bool quiet, stats, print_ltk;
	bool have_ltk, have_master, have_fault_seed;
	struct port_usb usb;         /* without its faults and serial */
	struct engine_config device; /* without its callbacks; secret */
};

/* Told: usage or version were asked for, and printed. */
enum options_verdict { OPTIONS_RUN, OPTIONS_TOLD, OPTIONS_WRONG };

/* Reads the command line; what is wrong is said on stderr. Pointers go into `argv`. */
enum options_verdict options_parse(int argc, char **argv, struct options *ret);

#endif
