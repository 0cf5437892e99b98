/* SPDX-License-Identifier: MIT */
/* A keyring file. What is read must read the same when written out again. */
#include "backend/ekey/keyring.h"
#include "backend/ekey/pem64.h"
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

/* A key is put into whatever file was read: it is found then, and the others as they were. */
static void
check_edit(const char *text, size_t len)
{
	static char edited[KEYRING_EDITED_LEN(1 << 20)];
	struct keyring_entry entry = {.ltk = {1}};
	struct keyring_errors errors;
	size_t got;

	if (len > sizeof(edited) - KEYRING_EDITED_LEN(0) || ring.len == KEYRING_MAX)
		return;
	if (ring.len > 0 && len % 2 == 0)
		memcpy(entry.serial, ring.entries[len % ring.len].serial, KEYED_SERIAL_LEN);
	got = keyring_edit(text, len, &entry, edited);
	promise(got <= KEYRING_EDITED_LEN(len), "an edited keyring has the length foretold");
	promise(keyring_parse(edited, got, &again, &errors), "an edited keyring is read");
	promise(memcmp(keyring_find(&again, entry.serial), entry.ltk, KEYED_SECRET_LEN) == 0,
		"the new key is in it");
	for (size_t i = 0; i < ring.len; i++)
		promise(memcmp(ring.entries[i].serial, entry.serial, KEYED_SERIAL_LEN) == 0 ||
				memcmp(&ring.entries[i], &again.entries[i], sizeof(entry)) == 0,
			"the others are as they were");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[KEYRING_MAX * LINE_LEN];
	struct keyring_errors errors;
	bool good = keyring_parse((const char *)data, size, &ring, &errors);

	promise(good == (errors.count == 0), "bad lines are counted");
	for (size_t i = 0; i < errors.count && i < KEYRING_ERRORS_MAX; i++)
		promise(errors.at[i].line > 0 && errors.at[i].why != NULL,
			"a bad line has a number and a reason");
	promise(ring.len <= KEYRING_MAX, "no more keys than there is room for");
	promise(keyring_parse(text, write_ring(text), &again, &errors), "what is written is read");
	promise(memcmp(&ring, &again, sizeof(ring)) == 0, "what is written is read the same");
	if (good)
		check_edit((const char *)data, size);
	return 0;
}
