/* SPDX-License-Identifier: MIT */
/* ekey-sim: a simulated Entropy Key on a terminal, a Unix socket or USB. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/sim/sim.h"

#define EXIT_TROUBLE 1
#define EXIT_USAGE 2

/* ---- what the device is made of ---- */

static bool
sim_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	/* Also before the kernel is ready. */
	return getrandom(ret, len, GRND_INSECURE) == (ssize_t)len;
}

static bool
sim_entropy(void *arg, uint8_t ret[static 32])
{
	struct sim *s = arg;

	return stream_next(&s->stream, ret);
}

/* A key that was not given follows from the seed; without a seed it is random. */
static bool
sim_choose_key(const struct options *o, const char *name, uint8_t ret[static KEYED_SECRET_LEN])
{
	return o->seed != NULL ? stream_derive(o->seed, name, ret)
			       : sim_random(NULL, ret, KEYED_SECRET_LEN);
}

static bool
sim_choose_keys(struct options *o)
{
	return (o->have_ltk || sim_choose_key(o, "LTK", o->device.identity.ltk)) &&
	       (o->have_master || sim_choose_key(o, "MK", o->device.identity.master)) &&
	       (o->have_fault_seed ||
		sim_random(NULL, (uint8_t *)&o->fault_seed, sizeof(o->fault_seed)));
}

static bool
sim_make_device(struct sim *s)
{
	struct options *o = &s->options;

	if (!sim_choose_keys(o) || !stream_init(&s->stream, o->seed, o->first_block)) {
		log_err("no random numbers or no SHA-256");
		return false;
	}
	o->device.random = sim_random;
	o->device.entropy = sim_entropy;
	o->device.arg = s;
	faults_init(&s->faults, o->faults, o->fault_seed);
	engine_init(&s->engine, &o->device, &s->faults);
	return true;
}

/* ---- life ---- */

static bool
sim_catch_signals(struct sim *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->signals >= 0;
}

/* 0, or what to exit with. */
static int
sim_plug_in(struct sim *s)
{
	int result;

	if (s->options.keyring != NULL && !sim_write_keyring(s))
		return EXIT_TROUBLE;
	pem64_encode(s->options.device.identity.serial, KEYED_SERIAL_LEN, s->serial);
	s->usb = s->options.usb;
	s->usb.serial = s->serial;
	s->usb.faults = &s->faults;
	result = port_open(&s->port, s->options.listen, &s->usb);
	if (result == 0)
		return 0;
	log_err("%s: %s", s->options.listen,
		result == -EINVAL ? "give " PORT_ADDRESSES : strerror(-result));
	return result == -EINVAL ? EXIT_USAGE : EXIT_TROUBLE;
}

static int
sim_run(struct sim *s)
{
	int status;

	if (!sim_make_device(s) || !sim_catch_signals(s))
		return EXIT_TROUBLE;
	status = sim_plug_in(s);
	if (status != 0)
		return status;
	sim_greet(s);
	if (s->options.print_ltk)
		sim_print_ltk(s);
	while (!s->stop)
		sim_turn(s);
	if (s->options.stats)
		sim_report(s);
	port_finish(&s->port);
	return 0;
}

int
main(int argc, char **argv)
{
	struct sim *s = secret_new(sizeof(*s));
	enum options_verdict verdict;
	int status = EXIT_USAGE;

	if (s == NULL) {
		log_err("no memory: %s", strerror(errno));
		return EXIT_TROUBLE;
	}
	verdict = options_parse(argc, argv, &s->options);
	if (s->options.quiet)
		log_set_level(LOG_LEVEL_WARN);
	if (verdict == OPTIONS_RUN)
		status = sim_run(s);
	else if (verdict == OPTIONS_TOLD)
		status = 0;
	stream_finish(&s->stream);
	secret_free(s, sizeof(*s));
	return status;
}
