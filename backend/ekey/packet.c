/* SPDX-License-Identifier: MIT */
#include "backend/ekey/packet.h"

#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/secret.h"

#define MAC_TEXT_LEN PEM64_TEXT_LEN(KEYED_MAC_LEN)

/* The class that each type must have, and how many bytes a binary one carries: exactly. */
static const struct form {
	char type, class;
	uint8_t len;
} forms[] = {
	{'E', '!', 32}, {'K', '!', 32}, {'L', '!', 32}, {'S', '!', 12}, {'I', '>', 0},
	{'k', '>', 0},  {'M', '>', 0},  {'l', '>', 0},  {'W', '>', 0},  {'B', '>', 0},
};

static const struct form *
form_of(char type)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].type == type)
			return &forms[i];
	return NULL;
}

/*
 * Compares the characters, not the bytes that they decode to: a MAC has one spelling, and an
 * unauthenticated frame is not decoded.
 */
static bool
mac_matches(const uint8_t *frame, const struct keyed *mac)
{
	uint8_t expected[KEYED_MAC_LEN];
	char text[MAC_TEXT_LEN];

	keyed_mac(mac, frame + FRAME_CONTENT_AT, FRAME_CONTENT_LEN, expected);
	pem64_encode(expected, sizeof(expected), text);
	return secret_equal(text, frame + FRAME_MAC_AT, sizeof(text));
}

static bool
only_spaces(const uint8_t *from, const uint8_t *end)
{
	for (; from < end; from++)
		if (*from != ' ')
			return false;
	return true;
}

static bool
decode_bytes(const uint8_t *frame, size_t len, struct packet *ret)
{
	const char *content = (const char *)frame;
	size_t text_len = PEM64_TEXT_LEN(len);

	memcpy(ret->subcode_text, content + FRAME_SUBCODE_AT, sizeof(ret->subcode_text));
	return pem64_subcode_decode(ret->subcode_text, &ret->subcode) &&
	       pem64_decode(content + FRAME_BYTES_AT, text_len, PACKET_BYTES_LEN, ret->payload,
			    &ret->len) &&
	       ret->len == len &&
	       only_spaces(frame + FRAME_BYTES_AT + text_len, frame + FRAME_MAC_AT);
}

static bool
decode_text(const uint8_t *frame, struct packet *ret)
{
	for (size_t i = 0; i < PACKET_TEXT_LEN; i++) {
		uint8_t c = frame[FRAME_TEXT_AT + i];

		if (c < ' ' || c > '~')
			return false;
		ret->payload[i] = c;
		if (c != ' ')
			ret->len = i + 1;
	}
	return true;
}

static bool
decode(const uint8_t *frame, struct packet *ret)
{
	const struct form *form = form_of((char)frame[FRAME_TYPE_AT]);

	if (form == NULL || (char)frame[FRAME_CLASS_AT] != form->class)
		return false;
	ret->type = (char)frame[FRAME_TYPE_AT];
	ret->text = form->len == 0;
	return ret->text ? decode_text(frame, ret) : decode_bytes(frame, form->len, ret);
}

enum packet_verdict
packet_open(const uint8_t frame[static FRAME_LEN], const struct keyed *mac, struct packet *ret)
{
	struct packet packet = {0};

	if (!mac_matches(frame, mac))
		return PACKET_BAD_MAC;
	if (!decode(frame, &packet))
		return PACKET_MALFORMED;
	*ret = packet;
	return PACKET_OK;
}

void
packet_zero_key(const uint8_t serial[static KEYED_SERIAL_LEN], struct keyed *ret)
{
	static const uint8_t zero[KEYED_SECRET_LEN];

	keyed_prepare(ret, KEYED_FRAME_MAC, serial, zero);
}

bool
packet_open_serial(const uint8_t frame[static FRAME_LEN], struct keyed *ret_zero_key,
		   struct packet *ret)
{
	uint8_t serial[KEYED_SERIAL_LEN];
	size_t len;

	if (frame[FRAME_TYPE_AT] != 'S' ||
	    !pem64_decode((const char *)frame + FRAME_BYTES_AT, PEM64_TEXT_LEN(KEYED_SERIAL_LEN),
			  sizeof(serial), serial, &len) ||
	    len != sizeof(serial))
		return false;
	packet_zero_key(serial, ret_zero_key);
	return packet_open(frame, ret_zero_key, ret) == PACKET_OK;
}
