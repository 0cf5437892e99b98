/* SPDX-License-Identifier: MIT */
/* The content of a frame, used only after its MAC has been checked. doc/protocol.md 2. */
#ifndef BACKEND_EKEY_PACKET_H
#define BACKEND_EKEY_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/frame.h"
#include "backend/ekey/keyed.h"

#define PACKET_TEXT_LEN 50
#define PACKET_BYTES_LEN 36

enum packet_verdict {
	PACKET_OK,
	PACKET_BAD_MAC,   /* made without the key, or damaged */
	PACKET_MALFORMED, /* authentic, but not of the protocol: counted, then ignored */
};

struct packet {
	char type; /* one of "SIWEkKMLlB" */
	bool text; /* class '>': payload is text; else '!': sub-code and bytes */
	char subcode_text[2];
	unsigned subcode; /* binary: 0..4095 */
	size_t len;       /* bytes of payload; text without its padding */
	uint8_t payload[PACKET_TEXT_LEN];
};

/* Checks the MAC (constant time) with `mac`, then decodes. *ret is written on PACKET_OK only. */
enum packet_verdict packet_open(const uint8_t frame[static FRAME_LEN], const struct keyed *mac,
				struct packet *ret);

/* The MAC key of a device that was reset: 32 zeros, a checksum rather than an authentication. */
void packet_zero_key(const uint8_t serial[static KEYED_SERIAL_LEN], struct keyed *ret);

/*
 * Opens a serial frame. Its MAC key depends on the serial in it, which is therefore read before the
 * MAC is checked: here only, and only to check the MAC with it. False, with *ret_zero_key
 * undefined, for any other frame.
 */
bool packet_open_serial(const uint8_t frame[static FRAME_LEN], struct keyed *ret_zero_key,
			struct packet *ret);

#endif
