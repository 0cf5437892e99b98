/* SPDX-License-Identifier: MIT */
/* A file of pre-shared keys. In a good one every identity is found, and its key has a length. */
#include <string.h>

#include "lib/tls/psk.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct psk_error error = {0, NULL};
	struct psk first, found;

	if (!psk_check(text, size, &error)) {
		promise(error.line > 0 && error.why != NULL, "an error has a line and a reason");
		return 0;
	}
	promise(psk_find(text, size, NULL, 0, &first), "a good file has a first key");
	promise(first.key_len >= PSK_KEY_MIN && first.key_len <= PSK_KEY_MAX, "a key's length");
	promise(psk_find(text, size, first.identity, strlen(first.identity), &found),
		"an identity is found");
	promise(first.key_len == found.key_len && memcmp(first.key, found.key, first.key_len) == 0,
		"the first line of an identity counts");
	promise(!psk_find(text, size, "no such:one", 11, &found), "no other is found");
	return 0;
}
