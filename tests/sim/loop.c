/* SPDX-License-Identifier: MIT */
/* One turn of the loop: bytes between the port and the engine. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "tests/sim/sim.h"

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

void
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
