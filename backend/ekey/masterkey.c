/* SPDX-License-Identifier: MIT */
#include "backend/ekey/masterkey.h"

#include <string.h>

#include "backend/ekey/pem64.h"
#include "lib/secret.h"

#define TEXT_LEN PEM64_TEXT_LEN(MASTERKEY_LEN + 1)

uint8_t
crc8(const uint8_t *bytes, size_t len)
{
	uint8_t crc = 0xff;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint8_t)(crc << 1 ^ (crc & 0x80 ? 0x31 : 0));
	}
	return crc;
}

/* Copies all but spaces; false unless exactly TEXT_LEN characters are left. */
static bool
strip_spaces(const char *text, char ret[static TEXT_LEN])
{
	size_t len = 0;

	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		if (len == TEXT_LEN)
			return false;
		ret[len++] = *text;
	}
	return len == TEXT_LEN;
}

bool
masterkey_parse(const char *text, uint8_t ret_key[static MASTERKEY_LEN])
{
	char packed[TEXT_LEN];
	uint8_t bytes[MASTERKEY_LEN + 1];
	size_t len = 0;
	bool good = strip_spaces(text, packed) &&
		    pem64_decode(packed, TEXT_LEN, sizeof(bytes), bytes, &len) &&
		    (len == MASTERKEY_LEN || (len == MASTERKEY_LEN + 1 &&
					      crc8(bytes, MASTERKEY_LEN) == bytes[MASTERKEY_LEN]));

	if (good)
		memcpy(ret_key, bytes, MASTERKEY_LEN);
	secret_wipe(packed, sizeof(packed));
	secret_wipe(bytes, sizeof(bytes));
	return good;
}
