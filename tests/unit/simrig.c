/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/keyed.h"
#include "backend/ekey/pem64.h"
#include "tests/sim/identity.h"
#include "tests/unit/simrig.h"

static bool
rig_random(void *arg, uint8_t *ret, size_t len)
{
	struct simrig *r = arg;

	memcpy(ret, r->device, len);
	return true;
}

static bool
rig_entropy(void *arg, uint8_t ret[static 32])
{
	struct simrig *r = arg;

	return stream_next(&r->stream, ret);
}

void
simrig_init(struct simrig *r)
{
	memset(r, 0, sizeof(*r));
	r->now_ms = 5000;
	memset(r->device, 0xd5, sizeof(r->device));
	r->config = (struct engine_config){
		.blocks_max = UINT64_MAX,
		.fail_mode = INFO_BADNESS_OK,
		.random = rig_random,
		.entropy = rig_entropy,
		.arg = r,
	};
	assert_true(identity_parse_serial(SIMRIG_SERIAL, r->config.identity.serial));
	memset(r->config.identity.ltk, 0x17, KEYED_SECRET_LEN);
	memset(r->config.identity.master, 0x3a, KEYED_SECRET_LEN);
}

void
simrig_start(struct simrig *r)
{
	assert_true(stream_init(&r->stream, SIMRIG_SEED, 0));
	faults_init(&r->faults, r->settings, 1);
	engine_init(&r->engine, &r->config, &r->faults);
}

void
simrig_finish(struct simrig *r)
{
	stream_finish(&r->stream);
}

void
simrig_host(struct simrig *r, const char *text, size_t packet)
{
	for (size_t len = strlen(text); len > 0;) {
		size_t n = len < packet ? len : packet;

		assert_true(engine_ready(&r->engine));
		engine_feed(&r->engine, r->now_ms, (const uint8_t *)text, n);
		text += n;
		len -= n;
	}
}

void
simrig_run(struct simrig *r, size_t max)
{
	assert_true(max <= sizeof(r->out));
	r->out_len = engine_produce(&r->engine, r->now_ms, r->out, max);
}

void
simrig_expect_key(struct simrig *r, const uint8_t *nonce, size_t len)
{
	struct keyed k;

	keyed_prepare(&k, KEYED_SESSION_KEY, r->config.identity.serial, r->config.identity.ltk);
	keyed_derive(&k, r->device, sizeof(r->device), nonce, len, r->key);
}

void
simrig_key(struct simrig *r)
{
	simrig_host(r, "\003K.", 1);
	r->out_len = engine_produce(&r->engine, r->now_ms, r->out, FAULTS_ROOM + FRAMES_LEN);
	assert_int_equal(r->out_len, 2 * FRAMES_LEN);
	simrig_expect_key(r, (const uint8_t *)"", 0);
}

const uint8_t *
simrig_frame(const struct simrig *r, size_t index)
{
	assert_true((index + 1) * FRAMES_LEN <= r->out_len);
	return r->out + index * FRAMES_LEN;
}

size_t
simrig_count(const struct simrig *r, char type)
{
	size_t count = 0;

	assert_int_equal(r->out_len % FRAMES_LEN, 0);
	for (size_t i = 0; i < r->out_len / FRAMES_LEN; i++)
		count += type == '*' || simrig_frame(r, i)[2] == (uint8_t)type;
	return count;
}

bool
simrig_mac_ok(const uint8_t *frame, const uint8_t *key)
{
	static const uint8_t zero[KEYED_SECRET_LEN];
	struct keyed k;
	uint8_t serial[KEYED_SERIAL_LEN], mac[KEYED_MAC_LEN];
	char text[8];

	assert_true(identity_parse_serial(SIMRIG_SERIAL, serial));
	keyed_prepare(&k, KEYED_FRAME_MAC, serial, key != NULL ? key : zero);
	keyed_mac(&k, frame + 2, 52, mac);
	pem64_encode(mac, sizeof(mac), text);
	return memcmp(frame, "* ", 2) == 0 && memcmp(frame + 54, text, sizeof(text)) == 0 &&
	       memcmp(frame + 62, "\r\n", 2) == 0;
}

const uint8_t *
simrig_next(struct simrig *r)
{
	do
		r->out_len = engine_produce(&r->engine, r->now_ms, r->out, FAULTS_ROOM);
	while (r->out_len == FRAMES_LEN && r->out[2] == 'I');
	assert_int_equal(r->out_len, FRAMES_LEN);
	return r->out;
}

unsigned
simrig_subcode(const uint8_t *frame)
{
	unsigned value;

	assert_true(pem64_subcode_decode((const char *)frame + 4, &value));
	return value;
}

void
simrig_block(const struct simrig *r, const uint8_t *frame, uint8_t ret[static 32])
{
	struct keyed k;
	uint8_t pad[SKEIN_LEN];
	size_t len;

	assert_true(pem64_decode((const char *)frame + 6, 44, 32, ret, &len));
	assert_int_equal(len, 32);
	keyed_prepare(&k, KEYED_ENTROPY_PAD, r->config.identity.serial, r->key);
	keyed_pad(&k, (const char *)frame + 4, pad);
	for (size_t i = 0; i < 32; i++)
		ret[i] ^= pad[i];
}

struct simrig rig;

int
simrig_set_up(void **state)
{
	(void)state;
	simrig_init(&rig);
	return 0;
}

int
simrig_tear_down(void **state)
{
	(void)state;
	simrig_finish(&rig);
	return 0;
}
