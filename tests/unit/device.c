/* SPDX-License-Identifier: MIT */
#include "tests/unit/device.h"

#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/bytes.h"

void
device_init(struct device *d)
{
	size_t len;

	*d = (struct device){0};
	pem64_decode("NwBvBlg3OTBJORFD", 16, sizeof(d->serial), d->serial, &len);
	for (size_t i = 0; i < sizeof(d->ltk); i++)
		d->ltk[i] = (uint8_t)(i * 7 + 1);
	device_reset(d);
}

void
device_reset(struct device *d)
{
	static const uint8_t zero[KEYED_SECRET_LEN];

	keyed_prepare(&d->mac, KEYED_FRAME_MAC, d->serial, zero);
	d->sequence = 0;
}

void
device_seal(const struct device *d, uint8_t frame[FRAME_LEN])
{
	uint8_t mac[KEYED_MAC_LEN];

	memcpy(frame, "* ", 2);
	keyed_mac(&d->mac, frame + FRAME_CONTENT_AT, FRAME_CONTENT_LEN, mac);
	pem64_encode(mac, sizeof(mac), (char *)frame + FRAME_MAC_AT);
	memcpy(frame + FRAME_LEN - 2, "\r\n", 2);
}

void
device_text(const struct device *d, char type, const char *text, uint8_t ret[FRAME_LEN])
{
	memset(ret, ' ', FRAME_LEN);
	ret[FRAME_TYPE_AT] = (uint8_t)type;
	ret[FRAME_CLASS_AT] = '>';
	memcpy(ret + FRAME_TEXT_AT, text, strlen(text));
	device_seal(d, ret);
}

void
device_bytes(const struct device *d, char type, unsigned subcode, const void *bytes, size_t len,
	     uint8_t ret[FRAME_LEN])
{
	memset(ret, ' ', FRAME_LEN);
	ret[FRAME_TYPE_AT] = (uint8_t)type;
	ret[FRAME_CLASS_AT] = '!';
	pem64_subcode_encode(subcode, (char *)ret + FRAME_SUBCODE_AT);
	pem64_encode(bytes, len, (char *)ret + FRAME_BYTES_AT);
	device_seal(d, ret);
}

void
device_serial(const struct device *d, uint8_t ret[FRAME_LEN])
{
	device_bytes(d, 'S', 0, d->serial, sizeof(d->serial), ret);
}

void
device_ask(const struct device *d, uint8_t ret[FRAME_LEN])
{
	device_text(d, 'k', "Unable to send entropy. Please re-key session.", ret);
}

void
device_answer(struct device *d, const uint8_t *nonce, size_t nonce_len, uint8_t ret[FRAME_LEN])
{
	uint8_t ours[KEYED_SECRET_LEN], key[KEYED_SECRET_LEN];
	struct keyed derivation;

	for (size_t i = 0; i < sizeof(ours); i++)
		ours[i] = (uint8_t)(d->next_block * 31 + i);
	device_bytes(d, 'K', (unsigned)nonce_len, ours, sizeof(ours), ret);
	keyed_prepare(&derivation, KEYED_SESSION_KEY, d->serial, d->ltk);
	keyed_derive(&derivation, ours, sizeof(ours), nonce, nonce_len, key);
	keyed_prepare(&d->mac, KEYED_FRAME_MAC, d->serial, key);
	keyed_prepare(&d->pad, KEYED_ENTROPY_PAD, d->serial, key);
	d->sequence = 0;
}

void
device_block(uint64_t index, uint8_t ret[DEVICE_BLOCK_LEN])
{
	store_le64(ret, index);
	for (size_t i = 8; i < DEVICE_BLOCK_LEN; i++)
		ret[i] = (uint8_t)((index + i) * 0x9e3779b1U >> 13);
}

uint64_t
device_block_index(const uint8_t block[DEVICE_BLOCK_LEN])
{
	uint8_t expected[DEVICE_BLOCK_LEN];

	device_block(load_le64(block), expected);
	return memcmp(block, expected, sizeof(expected)) == 0 ? load_le64(block) : UINT64_MAX;
}

void
device_entropy(struct device *d, uint8_t ret[FRAME_LEN])
{
	uint8_t block[DEVICE_BLOCK_LEN], pad[SKEIN_LEN];
	char subcode[2];

	pem64_subcode_encode(d->sequence, subcode);
	keyed_pad(&d->pad, subcode, pad);
	device_block(d->next_block, block);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= pad[i];
	device_bytes(d, 'E', d->sequence, block, sizeof(block), ret);
	d->sequence++;
	d->next_block++;
}
