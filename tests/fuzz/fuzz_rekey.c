/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer plays device, wire and clock while a long-term key is changed: each byte is one act.
 * Resets are few, an answer is one that the device gave, L goes out only after M was accepted, and
 * in the end there is an end.
 */
#include "backend/ekey/rekey.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/device.h"

static struct rekey rekey;
static struct device device;
static uint64_t now_ms;
static unsigned resets;
static const uint8_t mac[KEYED_MAC_LEN] = {1}, nonce[REKEY_NONCE_LEN] = {2};
static const uint8_t answer[KEYED_SECRET_LEN] = {3};

static void
check(void)
{
	size_t len;
	const uint8_t *sent = rekey_send(&rekey, &len);

	promise(len <= REKEY_SEND_MAX, "what is sent has a limit");
	if (sent != NULL && sent[0] == 3)
		resets++;
	promise(resets <= REKEY_TRIES, "resets are few");
	promise(sent == NULL || sent[0] != 'L' || rekey.have_nonce,
		"no nonce before it was ordered");
	promise(rekey.state != REKEY_CHANGED || memcmp(rekey.answer, answer, sizeof(answer)) == 0,
		"an answer is the device's");
	promise(!rekey_failed(&rekey) || rekey_deadline(&rekey) == UINT64_MAX, "an end is an end");
}

static void
feed(const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);

	while (rekey_take(&rekey, &in, now_ms))
		check();
	promise(in.left == 0, "all bytes are taken");
}

static void
send_sealed(struct cursor *in)
{
	uint8_t frame[FRAME_LEN];
	size_t len;
	const uint8_t *at = fuzz_bytes(in, FRAME_CONTENT_LEN, &len);

	memset(frame, ' ', sizeof(frame));
	memcpy(frame + FRAME_CONTENT_AT, len > 0 ? at : frame, len);
	if (frame[FRAME_TYPE_AT] == 'L')
		return; /* it would be an answer that we do not know */
	device_seal(&device, frame);
	feed(frame, sizeof(frame));
}

static void
send_one(uint8_t what)
{
	static const char types[] = {'M', 'l', 'W', 'B', 'k', 'I'};
	uint8_t frame[FRAME_LEN];

	if (what % 8 == 0)
		device_serial(&device, frame);
	else if (what % 8 == 1)
		device_bytes(&device, 'L', what & 8 ? 9 : REKEY_NONCE_LEN, answer, sizeof(answer),
			     frame);
	else
		device_text(&device, types[what % 8 - 2], what & 8 ? "is locked-out" : "text",
			    frame);
	if (what & 16)
		frame[what % FRAME_LEN] ^= 4;
	feed(frame, sizeof(frame));
}

static void
pass_time(uint64_t ms)
{
	now_ms += ms;
	rekey_tick(&rekey, now_ms);
}

static void
act(uint8_t what, struct cursor *in)
{
	size_t len;
	const uint8_t *at;

	switch (what % 6) {
	case 0:
	case 1:
		send_one(fuzz_byte(in));
		break;
	case 2:
		rekey_change(&rekey, nonce, now_ms);
		break;
	case 3:
		pass_time(fuzz_byte(in) * UINT64_C(50));
		break;
	case 4:
		send_sealed(in);
		break;
	case 5:
		at = fuzz_bytes(in, fuzz_byte(in), &len);
		feed(at, len);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);

	now_ms = 1000;
	resets = 0;
	device_init(&device);
	rekey_open(&rekey, device.serial, mac, now_ms);
	check();
	while (in.left > 0) {
		act(fuzz_byte(&in), &in);
		check();
	}
	for (int i = 0; i < 2 * REKEY_TRIES; i++) {
		pass_time(REKEY_HOLD_MS);
		check();
	}
	promise(rekey_failed(&rekey), "left alone, it ends");
	return 0;
}
