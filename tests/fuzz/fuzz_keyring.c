/* SPDX-License-Identifier: MIT */
/* A keyring file. What is read must read the same when written out again. */
#include "crypto/pem64.h"
#include "ekey/keyring.h"
#include "tests/fuzz/fuzz.h"

#define LINE_LEN (KEYRING_SERIAL_TEXT_LEN + 1 + PEM64_TEXT_LEN(KEYED_SECRET_LEN) + 1)

static struct keyring ring, again;

static size_t
write_ring(char *ret)
{
	char *at = ret;

	for (size_t i = 0; i < ring.len; i++, at += LINE_LEN) {
		keyring_serial_text(ring.entries[i].serial, at);
		at[KEYRING_SERIAL_TEXT_LEN] = ' ';
		pem64_encode(ring.entries[i].ltk, KEYED_SECRET_LEN,
			     at + KEYRING_SERIAL_TEXT_LEN + 1);
		at[LINE_LEN - 1] = '\n';
	}
	return (size_t)(at - ret);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[KEYRING_MAX * LINE_LEN];
	struct keyring_error error = {0, NULL};

	if (!keyring_parse((const char *)data, size, &ring, &error)) {
		promise(error.line > 0 && error.why != NULL, "an error has a line and a reason");
		promise(ring.len == 0, "an error leaves the ring empty");
		return 0;
	}
	promise(keyring_parse(text, write_ring(text), &again, &error), "what is written is read");
	promise(memcmp(&ring, &again, sizeof(ring)) == 0, "what is written is read the same");
	return 0;
}
