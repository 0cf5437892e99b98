/* SPDX-License-Identifier: MIT */
/*
 * A frame's 62 bytes after its start, as they are, or (first byte odd) with the right MAC so that
 * the decoder is reached. What is opened must be the one spelling of what it says.
 */
#include "backend/ekey/packet.h"
#include "backend/ekey/pem64.h"
#include "backend/ekey/telemetry.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/device.h"

static void
check_spelling(const struct device *d, const struct packet *p, const uint8_t *frame)
{
	uint8_t again[FRAME_LEN];
	char text[PACKET_TEXT_LEN + 1] = "";

	if (p->text) {
		memcpy(text, p->payload, p->len);
		device_text(d, p->type, text, again);
	} else {
		device_bytes(d, p->type, p->subcode, p->payload, p->len, again);
	}
	promise(memcmp(again + FRAME_CONTENT_AT, frame + FRAME_CONTENT_AT,
		       FRAME_MAC_AT - FRAME_CONTENT_AT) == 0,
		"one content has one spelling");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	struct telemetry telemetry = {0};
	uint8_t frame[FRAME_LEN] = "* ";
	bool sealed = fuzz_byte(&in) & 1;
	struct device d;
	struct packet p;
	enum packet_verdict verdict;
	const uint8_t *at;
	size_t len;

	at = fuzz_bytes(&in, FRAME_LEN - FRAME_CONTENT_AT, &len);
	if (len > 0)
		memcpy(frame + FRAME_CONTENT_AT, at, len);
	device_init(&d);
	if (sealed)
		device_seal(&d, frame);
	verdict = packet_open(frame, &d.mac, &p);
	promise(!sealed || verdict != PACKET_BAD_MAC, "a right MAC is accepted");
	if (verdict != PACKET_OK)
		return 0;
	check_spelling(&d, &p, frame);
	if (p.type == 'I')
		(void)telemetry_parse(&telemetry, p.payload, p.len);
	return 0;
}
