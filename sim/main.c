/* SPDX-License-Identifier: MIT */
/* ekey-sim: a simulated Entropy Key on a terminal, a Unix socket or USB. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/pem64.h"
#include "sim/engine.h"
#include "sim/identity.h"
#include "sim/options.h"
#include "sim/port.h"
#include "sim/report.h"
#include "sim/stream.h"

#define EXIT_USAGE 1
#define EXIT_TROUBLE 2

/* Bytes made before they are written: about a thousand frames a system call. */
#define OUT_LEN 65536

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
	uint8_t out[OUT_LEN];
};

/* ---- what the device is made of ---- */

static bool
sim_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return getrandom(ret, len, 0) == (ssize_t)len;
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

/* ---- what it says about itself ---- */

static void
sim_print_ltk(struct sim *s)
{
	char line[IDENTITY_LINE_LEN];

	identity_line(s->options.device.identity.serial, engine_ltk(&s->engine), line);
	printf("%s\n", line);
	fflush(stdout);
	secret_wipe(line, sizeof(line));
	s->lt_rekeys_printed = s->engine.counters.lt_rekeys;
}

static bool
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

static void
sim_greet(const struct sim *s)
{
	char line[IDENTITY_LINE_LEN];

	identity_line(s->options.device.identity.serial, engine_ltk(&s->engine), line);
	log_info("SIMULATED Entropy Key %.16s on %s, fault seed %" PRIu64, line, s->options.listen,
		 s->options.fault_seed);
	secret_wipe(line, sizeof(line));
}

static void
sim_report(struct sim *s)
{
	s->bytes.waiting = s->out_len - s->out_at;
	s->bytes.hosts = s->port.hosts;
	report(stderr, &s->engine.counters, &s->faults, &s->bytes, port_usb_counters(&s->port));
}

/* ---- one turn of the loop ---- */

/* What the host that went did not get, the next must not get: it may begin inside a frame. */
static void
sim_drop_output(struct sim *s)
{
	s->bytes.dropped += s->out_len - s->out_at;
	s->out_at = s->out_len = 0;
}

static void
sim_replug(struct sim *s)
{
	int result;

	faults_replug(&s->faults);
	engine_replug(&s->engine);
	result = port_replug(&s->port);
	if (result == 0)
		return;
	log_err("%s: %s", s->options.listen, strerror(-result));
	s->stop = true;
}

/* What was unplugged has forgotten its session. */
static void
sim_follow_plug(struct sim *s)
{
	if (s->power_cycles == s->port.power_cycles)
		return;
	s->power_cycles = s->port.power_cycles;
	sim_drop_output(s);
	engine_replug(&s->engine);
}

/* Makes output when all the old is written. */
static void
sim_fill(struct sim *s)
{
	sim_follow_plug(s);
	if (!s->port.connected)
		sim_drop_output(s);
	if (s->out_at < s->out_len)
		return;
	if (faults_closing(&s->faults))
		sim_replug(s);
	s->out_at = s->out_len = 0;
	if (s->port.connected)
		s->out_len = engine_produce(&s->engine, clock_now_ms(), s->out, sizeof(s->out));
}

static void
sim_read(struct sim *s)
{
	uint8_t packet[ENGINE_PACKET_MAX];
	ssize_t len = port_read(&s->port, packet, sizeof(packet));

	if (len == PORT_GONE)
		sim_drop_output(s);
	if (len <= 0)
		return;
	engine_feed(&s->engine, clock_now_ms(), packet, (size_t)len);
	secret_wipe(packet, sizeof(packet));
	if (s->options.print_ltk && s->engine.counters.lt_rekeys != s->lt_rekeys_printed)
		sim_print_ltk(s);
}

static void
sim_write(struct sim *s)
{
	size_t len = s->out_len - s->out_at;
	ssize_t written;

	if (len > s->options.split)
		len = s->options.split;
	written = port_write(&s->port, s->out + s->out_at, len);
	if (written == PORT_GONE)
		sim_drop_output(s);
	if (written <= 0)
		return;
	s->out_at += (size_t)written;
	s->bytes.written += (uint64_t)written;
}

/* On USB each signal does one half of it: unplugs, or plugs in again. */
static void
sim_change_plug(struct sim *s)
{
	int result = port_change_plug(&s->port);

	if (result == -EOPNOTSUPP)
		sim_replug(s);
	else if (result < 0)
		log_err("%s: %s", s->options.listen, strerror(-result));
}

static void
sim_signal(struct sim *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		sim_report(s);
	else if (info.ssi_signo == SIGUSR2)
		sim_change_plug(s);
	else
		s->stop = true;
}

/* Milliseconds until the engine has something, for poll(). */
static int
sim_timeout(const struct sim *s)
{
	uint64_t due = engine_deadline(&s->engine), now = clock_now_ms();

	if (!s->port.connected || s->out_at < s->out_len || due == ENGINE_NO_DEADLINE)
		return -1;
	if (due <= now)
		return 0;
	return due - now > 60000 ? 60000 : (int)(due - now);
}

static void
sim_move(struct sim *s, bool readable, const struct pollfd *fds)
{
	if (readable && port_may_read(&s->port, fds))
		sim_read(s);
	if (s->port.connected && s->out_at < s->out_len && port_may_write(&s->port, fds))
		sim_write(s);
}

static void
sim_turn(struct sim *s)
{
	struct pollfd fds[PORT_POLLFDS + 1];
	bool readable, writable, now;

	sim_fill(s);
	readable = engine_ready(&s->engine);
	writable = s->out_at < s->out_len;
	port_pollfds(&s->port, readable, writable, fds);
	fds[PORT_POLLFDS] = (struct pollfd){.fd = s->signals, .events = POLLIN};
	now = (readable && port_may_read(&s->port, fds)) ||
	      (writable && port_may_write(&s->port, fds));
	if (poll(fds, PORT_POLLFDS + 1, now ? 0 : sim_timeout(s)) < 0)
		return;
	if (fds[PORT_POLLFDS].revents != 0)
		sim_signal(s);
	sim_move(s, readable, fds);
	if (fds[0].revents != 0)
		port_arrivals(&s->port);
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

static bool
sim_plug_in(struct sim *s)
{
	int result;

	if (s->options.keyring != NULL && !sim_write_keyring(s))
		return false;
	pem64_encode(s->options.device.identity.serial, KEYED_SERIAL_LEN, s->serial);
	s->usb = s->options.usb;
	s->usb.serial = s->serial;
	s->usb.faults = &s->faults;
	result = port_open(&s->port, s->options.listen, &s->usb);
	if (result == 0)
		return true;
	log_err("%s: %s", s->options.listen,
		result == -EINVAL ? "give " PORT_ADDRESSES : strerror(-result));
	return false;
}

static int
sim_run(struct sim *s)
{
	if (!sim_make_device(s) || !sim_catch_signals(s) || !sim_plug_in(s))
		return EXIT_TROUBLE;
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
	else if (verdict == OPTIONS_HELP)
		status = 0;
	stream_finish(&s->stream);
	secret_free(s, sizeof(*s));
	return status;
}
