/* SPDX-License-Identifier: MIT */
#include "tests/sim/frames.h"

#include <string.h>

#include "backend/ekey/pem64.h"

/* Where the parts lie. The MAC covers everything between "* " and itself, padding included. */
#define TYPE_AT 2
#define CLASS_AT 3
#define TEXT_AT 4
#define SUBCODE_AT 4
#define BYTES_AT 6
#define MAC_AT 54
#define END_AT 62

static void
frames_begin(char type, char class, uint8_t frame[static FRAMES_LEN])
{
	memset(frame, ' ', MAC_AT);
	frame[0] = '*';
	frame[TYPE_AT] = (uint8_t)type;
	frame[CLASS_AT] = (uint8_t) class;
}

static void
frames_seal(const struct keyed *mac, uint8_t frame[static FRAMES_LEN])
{
	uint8_t code[KEYED_MAC_LEN];

	keyed_mac(mac, frame + TYPE_AT, MAC_AT - TYPE_AT, code);
	pem64_encode(code, sizeof(code), (char *)frame + MAC_AT);
	frame[END_AT] = '\r';
	frame[END_AT + 1] = '\n';
}

void
frames_text(const struct keyed *mac, char type, const char *text, uint8_t ret[static FRAMES_LEN])
{
	frames_begin(type, '>', ret);
	memcpy(ret + TEXT_AT, text, strnlen(text, FRAMES_TEXT_MAX));
	frames_seal(mac, ret);
}

void
frames_binary(const struct keyed *mac, char type, unsigned subcode, const uint8_t *bytes,
	      size_t len, uint8_t ret[static FRAMES_LEN])
{
	frames_begin(type, '!', ret);
	pem64_subcode_encode(subcode, (char *)ret + SUBCODE_AT);
	pem64_encode(bytes, len, (char *)ret + BYTES_AT);
	frames_seal(mac, ret);
}

void
frames_entropy(const struct keyed *mac, const struct keyed *pad, unsigned sequence,
	       const uint8_t block[static 32], uint8_t ret[static FRAMES_LEN])
{
	char subcode[2];
	uint8_t cipher[SKEIN_LEN];

	pem64_subcode_encode(sequence, subcode);
	keyed_pad(pad, subcode, cipher);
	for (size_t i = 0; i < SKEIN_LEN; i++)
		cipher[i] ^= block[i];
	frames_binary(mac, 'E', sequence, cipher, SKEIN_LEN, ret);
}
