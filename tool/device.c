/* SPDX-License-Identifier: MIT */
#include "tool/device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/tty.h"
#include "base/clock.h"
#include "base/net.h"
#include "base/secret.h"
#include "ekey/session.h"

#define DEVICE_IN_LEN 4096
#define UNIX_PREFIX "unix:"

struct device {
	struct reach reach;
	struct tty tty; /* .fd is the fd of either kind */
	bool is_tty;
	uint8_t serial[KEYED_SERIAL_LEN];
	struct rekey rekey;
	struct keyring ring; /* for the proof: the new key alone */
	struct session session;
	uint8_t in[DEVICE_IN_LEN];
};

/* ---- bytes ---- */

static bool
device_send(const struct device *d, const uint8_t *bytes, size_t len)
{
	struct pollfd ready = {.fd = d->tty.fd, .events = POLLOUT};

	while (len > 0) {
		ssize_t n = write(d->tty.fd, bytes, len);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EINTR &&
			   (errno != EAGAIN || poll(&ready, 1, REKEY_SERIAL_MS) <= 0)) {
			return false;
		}
	}
	return true;
}

/* Waits for bytes until the deadline; *ret_in is empty when none came. False: it is unplugged. */
static bool
device_receive(struct device *d, uint64_t deadline_ms, struct cursor *ret_in)
{
	struct pollfd ready = {.fd = d->tty.fd, .events = POLLIN};
	uint64_t now_ms = clock_now_ms();
	uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	ssize_t n;

	*ret_in = cursor_over(d->in, 0);
	if (poll(&ready, 1, wait_ms < REKEY_HOLD_MS ? (int)wait_ms : REKEY_HOLD_MS) <= 0)
		return true;
	n = read(d->tty.fd, d->in, sizeof(d->in));
	if (n > 0)
		*ret_in = cursor_over(d->in, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- the change ---- */

static bool
device_rekey_send(struct device *d)
{
	size_t len;
	const uint8_t *bytes = rekey_send(&d->rekey, &len);

	return bytes == NULL || device_send(d, bytes, len);
}

/* Until it is in `wanted`, or has failed. */
static enum exit_code
device_run(struct device *d, enum rekey_state wanted)
{
	struct cursor in;

	while (rekey_state(&d->rekey) != wanted && !rekey_failed(&d->rekey)) {
		if (!device_rekey_send(d) || !device_receive(d, rekey_deadline(&d->rekey), &in))
			return reach_failed("the key was unplugged");
		while (rekey_take(&d->rekey, &in, clock_now_ms()))
			if (!device_rekey_send(d))
				return reach_failed("the key was unplugged");
		rekey_tick(&d->rekey, clock_now_ms());
	}
	if (rekey_failed(&d->rekey))
		return reach_failed(rekey_state_text(rekey_state(&d->rekey)));
	return EXIT_OK;
}

static enum exit_code
device_start(struct reach *reach, const uint8_t mac[static KEYED_MAC_LEN])
{
	struct device *d = (struct device *)reach;

	rekey_open(&d->rekey, d->serial, mac, clock_now_ms());
	return device_run(d, REKEY_ACCEPTED);
}

static enum exit_code
device_change(struct reach *reach, const uint8_t nonce[static REKEY_NONCE_LEN],
	      uint8_t ret_answer[static KEYED_SECRET_LEN])
{
	struct device *d = (struct device *)reach;
	enum exit_code code;

	if (!rekey_change(&d->rekey, nonce, clock_now_ms()))
		return reach_failed(rekey_state_text(REKEY_ABANDONED));
	code = device_run(d, REKEY_CHANGED);
	if (code == EXIT_OK)
		memcpy(ret_answer, rekey_answer(&d->rekey), KEYED_SECRET_LEN);
	return code;
}

/* ---- the proof ---- */

static bool
device_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return getrandom(ret, len, GRND_INSECURE) == (ssize_t)len;
}

/* What the session makes of the bytes; false when it could not answer. */
static bool
device_session_take(struct device *d, struct cursor *in)
{
	enum session_event event;

	do {
		size_t len;
		const uint8_t *bytes;

		event = session_next(&d->session, in, clock_now_ms());
		bytes = session_send(&d->session, &len);
		if (bytes != NULL && !device_send(d, bytes, len))
			return false;
	} while (event != SESSION_MORE);
	return true;
}

static enum exit_code
device_prove(struct reach *reach, const struct keyring_entry *entry)
{
	struct device *d = (struct device *)reach;
	const struct keyring *ring = &d->ring;
	const struct session_env env = {.keyring = &ring, .random = device_random};
	uint64_t end_ms = clock_now_ms() + REACH_PROVE_MS;
	struct cursor in = cursor_over(d->in, 0);

	d->ring.entries[d->ring.len++] = *entry;
	session_init(&d->session, &env);
	session_open(&d->session, clock_now_ms());
	while (session_state(&d->session) != SESSION_KEYED && clock_now_ms() < end_ms) {
		if (!device_session_take(d, &in) ||
		    !device_receive(d, session_deadline(&d->session), &in) ||
		    !device_session_take(d, &in))
			return reach_failed("the key was unplugged");
		session_tick(&d->session, clock_now_ms());
	}
	if (session_state(&d->session) != SESSION_KEYED)
		return reach_failed(session_state_text(session_state(&d->session)));
	return EXIT_OK;
}

/* ---- life ---- */

static void
device_close(struct reach *reach)
{
	struct device *d = (struct device *)reach;

	if (d == NULL)
		return;
	if (d->is_tty)
		tty_close(&d->tty);
	else if (d->tty.fd >= 0)
		close(d->tty.fd);
	secret_free(d, sizeof(*d));
}

static const struct reach_kind device_kind = {device_start, device_change, device_prove,
					      device_close};

static bool
is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int
device_open(struct device *d, const char *path)
{
	bool prefixed = strncmp(path, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
	int result;

	if (prefixed || is_socket(path)) {
		d->tty.fd = net_unix_connect(prefixed ? path + strlen(UNIX_PREFIX) : path);
		return d->tty.fd < 0 ? d->tty.fd : 0;
	}
	result = tty_open(path, &d->tty);
	d->is_tty = result == 0;
	return result;
}

enum exit_code
device_reach(const char *path, const uint8_t serial[static KEYED_SERIAL_LEN],
	     struct reach **ret_reach)
{
	struct device *d = secret_new(sizeof(*d));
	int result = d != NULL ? 0 : -ENOMEM;

	if (result == 0) {
		d->reach.kind = &device_kind;
		d->tty.fd = -1;
		memcpy(d->serial, serial, sizeof(d->serial));
		result = device_open(d, path);
	}
	if (result == 0) {
		*ret_reach = &d->reach;
		return EXIT_OK;
	}
	fprintf(stderr, "ekeyctl: %s: %s\n", path,
		result == -EBUSY ? "in use; ekey-randomd runs? Then leave --device out"
				 : strerror(-result));
	if (d != NULL)
		device_close(&d->reach);
	return EXIT_NO_KEY;
}
