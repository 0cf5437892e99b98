/* SPDX-License-Identifier: MIT */
/* What the simulator says about itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/sim/identity.h"
#include "tests/sim/sim.h"

void
sim_print_ltk(struct sim *s)
{
	char line[IDENTITY_LINE_LEN];

	identity_line(s->options.device.identity.serial, engine_ltk(&s->engine), line);
	printf("%s\n", line);
	fflush(stdout);
	secret_wipe(line, sizeof(line));
	s->lt_rekeys_printed = s->engine.counters.lt_rekeys;
}

bool
sim_write_keyring(struct sim *s)
{
	char line[IDENTITY_LINE_LEN];
	int result;

	identity_line(s->options.device.identity.serial, engine_ltk(&s->engine), line);
	result = identity_write_keyring(s->options.keyring, line);
	secret_wipe(line, sizeof(line));
	if (result < 0)
		log_err("%s: %s", s->options.keyring, strerror(-result));
	return result == 0;
}

void
sim_greet(const struct sim *s)
{
	char line[IDENTITY_LINE_LEN];

	identity_line(s->options.device.identity.serial, engine_ltk(&s->engine), line);
	log_info("SIMULATED Entropy Key %.16s on %s, fault seed %" PRIu64, line, s->options.listen,
		 s->options.fault_seed);
	secret_wipe(line, sizeof(line));
}

void
sim_report(struct sim *s)
{
	s->bytes.waiting = s->out_len - s->out_at;
	s->bytes.hosts = s->port.hosts;
	report(stderr, &s->engine.counters, &s->faults, &s->bytes, port_usb_counters(&s->port));
}
