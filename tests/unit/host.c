/* SPDX-License-Identifier: MIT */
#include "tests/unit/host.h"

#include <assert.h>
#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/secret.h"

#define COMMAND_K_LEN 18

/* Unpredictable enough for a test: never twice the same. */
static bool
host_random(void *arg, uint8_t *ret, size_t len)
{
	struct host *h = arg;

	h->randoms++;
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(h->randoms >> (8 * (i % 4)));
	return !h->random_fails;
}

void
host_init(struct host *h)
{
	*h = (struct host){.now_ms = 1000};
	device_init(&h->device);
	h->ring = secret_new(sizeof(*h->ring));
	h->session = secret_new(sizeof(*h->session));
	assert(h->ring != NULL && h->session != NULL);
	memcpy(h->ring->entries[0].serial, h->device.serial, KEYED_SERIAL_LEN);
	memcpy(h->ring->entries[0].ltk, h->device.ltk, KEYED_SECRET_LEN);
	h->ring->len = 1;
	h->current_ring = h->ring;
	h->env = (struct session_env){&h->current_ring, NULL, host_random, h};
	session_init(h->session, &h->env);
}

void
host_finish(struct host *h)
{
	secret_free(h->session, sizeof(*h->session));
	secret_free(h->ring, sizeof(*h->ring));
}

void
host_forget(struct host *h)
{
	h->events_len = h->blocks_len = h->sent_len = 0;
	h->events[0] = '\0';
}

static void
take_sent(struct host *h)
{
	const uint8_t *bytes;
	size_t len;

	bytes = session_send(h->session, &len);
	assert(len <= sizeof(h->sent) - h->sent_len);
	if (bytes != NULL)
		memcpy(h->sent + h->sent_len, bytes, len);
	h->sent_len += len;
}

static void
note_event(struct host *h, enum session_event event)
{
	assert(h->events_len < HOST_LOG_MAX && h->blocks_len < HOST_LOG_MAX);
	h->events[h->events_len++] = event == SESSION_ENTROPY   ? 'E'
				     : event == SESSION_CHANGED ? 'C'
								: 'T';
	h->events[h->events_len] = '\0';
	if (event == SESSION_ENTROPY)
		h->blocks[h->blocks_len++] = device_block_index(h->session->block);
	if (event == SESSION_CHANGED)
		h->told = session_state(h->session);
}

void
host_feed(struct host *h, const void *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);
	enum session_event event;

	while ((event = session_next(h->session, &in, h->now_ms)) != SESSION_MORE) {
		note_event(h, event);
		take_sent(h);
	}
	assert(in.left == 0);
	take_sent(h);
}

void
host_feed_serial(struct host *h)
{
	uint8_t frame[FRAME_LEN];

	device_serial(&h->device, frame);
	host_feed(h, frame, sizeof(frame));
}

void
host_feed_ask(struct host *h)
{
	uint8_t frame[FRAME_LEN];

	device_ask(&h->device, frame);
	host_feed(h, frame, sizeof(frame));
}

void
host_last_nonce(const struct host *h, uint8_t ret[SESSION_NONCE_LEN])
{
	const uint8_t *command = h->sent + h->sent_len - COMMAND_K_LEN;
	size_t len = 0;
	bool good = h->sent_len >= COMMAND_K_LEN && command[0] == 'K' &&
		    command[COMMAND_K_LEN - 1] == '.' &&
		    pem64_decode((const char *)command + 1, COMMAND_K_LEN - 2, SESSION_NONCE_LEN,
				 ret, &len) &&
		    len == SESSION_NONCE_LEN;

	assert(good && "the last thing sent is a K command");
	(void)good;
}

void
host_feed_answer(struct host *h)
{
	uint8_t frame[FRAME_LEN], nonce[SESSION_NONCE_LEN];

	host_last_nonce(h, nonce);
	device_answer(&h->device, nonce, sizeof(nonce), frame);
	host_feed(h, frame, sizeof(frame));
}

void
host_feed_handshake(struct host *h)
{
	host_feed_serial(h);
	host_feed_ask(h);
	host_feed_answer(h);
}

void
host_feed_entropy(struct host *h)
{
	uint8_t frame[FRAME_LEN];

	device_entropy(&h->device, frame);
	host_feed(h, frame, sizeof(frame));
}

void
host_feed_text(struct host *h, char type, const char *text)
{
	uint8_t frame[FRAME_LEN];

	device_text(&h->device, type, text, frame);
	host_feed(h, frame, sizeof(frame));
}

void
host_key(struct host *h)
{
	session_open(h->session, h->now_ms);
	device_reset(&h->device);
	host_feed_handshake(h);
	host_feed_entropy(h);
	assert(session_state(h->session) == SESSION_KEYED);
	host_forget(h);
}

void
host_pass(struct host *h, uint64_t ms)
{
	uint64_t end_ms = h->now_ms + ms, due_ms;

	while ((due_ms = session_deadline(h->session)) <= end_ms) {
		assert(due_ms >= h->now_ms);
		h->now_ms = due_ms;
		session_tick(h->session, h->now_ms);
		host_feed(h, "", 0);
	}
	h->now_ms = end_ms;
}
