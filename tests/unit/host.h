/* SPDX-License-Identifier: MIT */
/* A session with a device, a keyring and a clock of its own: what the session tests stand on. */
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/session.h"
#include "tests/unit/device.h"

#define HOST_LOG_MAX 16384

struct host {
	struct session *session;
	struct keyring *ring;
	const struct keyring *current_ring;
	struct session_env env;
	struct device device;
	uint64_t now_ms;
	bool random_fails;
	unsigned randoms; /* calls of random() */

	/* What the session told, in order: 'E', 'T' or 'C' each. */
	char events[HOST_LOG_MAX + 1];
	size_t events_len;
	uint64_t blocks[HOST_LOG_MAX]; /* which of the device's, UINT64_MAX for none of them */
	size_t blocks_len;
	enum session_state told; /* at the last 'C' */

	uint8_t sent[HOST_LOG_MAX]; /* to the device, all of it */
	size_t sent_len;
};

/* The device's key is in the keyring; nothing is open yet. */
void host_init(struct host *h);
void host_finish(struct host *h);

/* Forgets what was told and sent so far. */
void host_forget(struct host *h);

/* Bytes from the device, at once; and what the session does with them. */
void host_feed(struct host *h, const void *bytes, size_t len);

/* One frame each. */
void host_feed_serial(struct host *h);
void host_feed_ask(struct host *h);
void host_feed_answer(struct host *h); /* to the last nonce sent */
void host_feed_entropy(struct host *h);
void host_feed_text(struct host *h, char type, const char *text);

/* S, k and K. */
void host_feed_handshake(struct host *h);

/* The nonce in the last K command that was sent. */
void host_last_nonce(const struct host *h, uint8_t ret[SESSION_NONCE_LEN]);

/* Open, S, k, K, E: keyed, one block given; then host_forget(). */
void host_key(struct host *h);

/* Time passes; deadlines are kept exactly as they come. */
void host_pass(struct host *h, uint64_t ms);

#endif
