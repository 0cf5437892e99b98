/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer plays device, wire, clock and owner: each byte is one act. The device's key is right,
 * so that all states are in reach. No block comes twice or damaged, no reset storm, no nonce
 * without randomness.
 */
#include "backend/ekey/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/host.h"

#define KEPT 8 /* frames that can be replayed */
#define K_COMMAND_LEN 18

struct play {
	struct host host;
	struct keyring empty_ring;
	uint8_t kept[KEPT][FRAME_LEN];
	unsigned kept_next;
	uint64_t last_block, last_reset_ms;
	bool have_block;
};

static struct play play;

static void
check_blocks(struct play *p)
{
	for (size_t i = 0; i < p->host.blocks_len; i++) {
		uint64_t index = p->host.blocks[i];

		promise(index < p->host.device.next_block, "a block is one that the device gave");
		promise(!p->have_block || index > p->last_block, "no block comes twice");
		p->last_block = index;
		p->have_block = true;
	}
	p->host.blocks_len = p->host.events_len = 0;
}

/* After everything but open: that may reset at any time, it is a new transport. */
static void
check_sent(struct play *p, uint64_t resets, uint64_t nonces)
{
	const struct session_counters *c = &p->host.session->counters;

	promise(c->nonces == nonces || !p->host.random_fails, "no nonce without randomness");
	if (c->resets == resets)
		return;
	promise(p->host.now_ms - p->last_reset_ms >= SESSION_RETRY_MIN_MS,
		"resets keep their pace");
	p->last_reset_ms = p->host.now_ms;
}

static void
send_frame(struct play *p, const uint8_t *frame)
{
	memcpy(p->kept[p->kept_next++ % KEPT], frame, FRAME_LEN);
	host_feed(&p->host, frame, FRAME_LEN);
}

static void
answer(struct play *p)
{
	struct host *h = &p->host;

	if (h->sent_len >= K_COMMAND_LEN && h->sent[h->sent_len - K_COMMAND_LEN] == 'K' &&
	    h->sent[h->sent_len - 1] == '.')
		host_feed_answer(h);
}

/* Authentic content of any kind but entropy, which would be a block that we do not know. */
static void
send_sealed(struct play *p, struct cursor *in)
{
	uint8_t frame[FRAME_LEN];
	const uint8_t *at;
	size_t len;

	memset(frame, ' ', sizeof(frame));
	at = fuzz_bytes(in, FRAME_CONTENT_LEN, &len);
	if (len > 0)
		memcpy(frame + FRAME_CONTENT_AT, at, len);
	if (frame[FRAME_TYPE_AT] == 'E')
		frame[FRAME_TYPE_AT] = 'I';
	device_seal(&p->host.device, frame);
	send_frame(p, frame);
}

static void
send_entropy(struct play *p, uint8_t flip)
{
	uint8_t frame[FRAME_LEN];

	device_entropy(&p->host.device, frame);
	frame[flip % FRAME_LEN] ^= (uint8_t)(flip == 0 ? 0 : 1U << flip % 8);
	send_frame(p, frame);
}

static void
send_raw(struct play *p, struct cursor *in)
{
	size_t len;
	const uint8_t *at = fuzz_bytes(in, fuzz_byte(in), &len);

	host_feed(&p->host, at, len);
}

static void
reopen(struct play *p)
{
	session_close(p->host.session);
	host_feed(&p->host, "", 0);
	session_open(p->host.session, p->host.now_ms);
	p->last_reset_ms = p->host.now_ms;
}

static void
change_keyring(struct play *p)
{
	struct host *h = &p->host;

	h->current_ring = h->current_ring == h->ring ? &p->empty_ring : h->ring;
	session_keyring_changed(h->session, h->now_ms);
}

/* One step of the clock at a time, so that every reset has its own time. */
static void
pass_time(struct play *p, uint64_t ms)
{
	struct host *h = &p->host;
	uint64_t end_ms = h->now_ms + ms;

	while (session_deadline(h->session) <= end_ms) {
		uint64_t resets = h->session->counters.resets;

		host_pass(h, session_deadline(h->session) - h->now_ms);
		check_sent(p, resets, h->session->counters.nonces);
	}
	host_pass(h, end_ms - h->now_ms);
}

static void
act(struct play *p, uint8_t what, struct cursor *in)
{
	struct host *h = &p->host;

	switch (what % 20) {
	case 0:
		host_feed_serial(h);
		break;
	case 1:
		host_feed_ask(h);
		break;
	case 2:
		answer(p);
		break;
	case 3:
		send_entropy(p, 0);
		break;
	case 4:
		send_entropy(p, fuzz_byte(in));
		break;
	case 5:
		host_feed(h, p->kept[fuzz_byte(in) % KEPT], FRAME_LEN);
		break;
	case 6:
		host_feed_text(h, 'I', "T03143 V03254");
		break;
	case 7:
		send_raw(p, in);
		break;
	case 8:
		pass_time(p, fuzz_byte(in));
		break;
	case 9:
		pass_time(p, fuzz_byte(in) * UINT64_C(500));
		break;
	case 10:
		session_pause(h->session);
		break;
	case 11:
		session_resume(h->session, h->now_ms);
		break;
	case 12:
		change_keyring(p);
		break;
	case 13:
		device_reset(&h->device);
		break;
	case 14:
		send_sealed(p, in);
		break;
	case 15:
		h->device.sequence = fuzz_byte(in) * 16U;
		break;
	case 16:
		h->device.sequence = 4095; /* the last */
		break;
	case 17:
		h->random_fails = !h->random_fails;
		break;
	case 18:
		host_feed_text(h, "WMlB"[fuzz_byte(in) % 4], "text");
		break;
	case 19:
		reopen(p);
		break;
	}
	h->device.sequence %= 4096;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	struct host *h = &play.host;

	memset(play.kept, 0, sizeof(play.kept));
	play.have_block = false;
	host_init(h);
	reopen(&play);
	host_feed(h, "", 0);
	while (in.left > 0) {
		uint64_t resets = h->session->counters.resets;
		uint64_t nonces = h->session->counters.nonces;
		uint8_t what = fuzz_byte(&in);

		act(&play, what, &in);
		host_feed(h, "", 0);
		check_blocks(&play);
		if (what % 20 != 19 && what % 20 != 9 && what % 20 != 8)
			check_sent(&play, resets, nonces);
		if (h->sent_len > HOST_LOG_MAX / 2)
			h->sent_len = 0;
	}
	host_finish(h);
	return 0;
}
