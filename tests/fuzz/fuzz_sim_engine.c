/* SPDX-License-Identifier: MIT */
/* Whatever a host writes, in whatever packets, is answered with whole frames and no harm. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
constant_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	memset(ret, 0x5a, len);
	return true;
}

static bool
constant_entropy(void *arg, uint8_t ret[static 32])
{
	return constant_random(arg, ret, 32);
}

static void
take_frames(struct engine *e, uint64_t now_ms)
{
	static uint8_t out[FAULTS_ROOM + 80 * FRAMES_LEN];
	size_t len = engine_produce(e, now_ms, out, sizeof(out));

	if (len % FRAMES_LEN != 0)
		abort();
	for (size_t at = 0; at < len; at += FRAMES_LEN)
		if (memcmp(out + at, "* ", 2) != 0 || memcmp(out + at + 62, "\r\n", 2) != 0)
			abort();
}

/* Each packet is led by a byte: its length, and in the top bit whether frames are taken first. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t none[FAULT_KINDS];
	static struct engine engine;
	struct engine_config config = {.blocks_max = 1000,
				       .fail_mode = INFO_BADNESS_OK,
				       .random = constant_random,
				       .entropy = constant_entropy};
	struct faults faults;

	faults_init(&faults, none, 1);
	engine_init(&engine, &config, &faults);
	for (uint64_t now_ms = 1; size > 0; now_ms += 10) {
		size_t len = data[0] & 63;

		if (data[0] & 128 || !engine_ready(&engine))
			take_frames(&engine, now_ms);
		data++;
		size--;
		len = len < size ? len : size;
		engine_feed(&engine, now_ms, data, len);
		data += len;
		size -= len;
	}
	take_frames(&engine, UINT64_MAX / 1000000000);
	return 0;
}
