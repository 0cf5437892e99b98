/* SPDX-License-Identifier: MIT */
#include "daemon/ekeyctl/keyring_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ekeyctl/key_access.h"
#include "lib/secret.h"

static enum exit_code
keyring_store_fail(const struct keyring_store *s, const char *why)
{
	fprintf(stderr, "ekeyctl: %s: %s\n", s->path, why);
	return EXIT_KEYRING;
}

static enum exit_code
store_read(struct keyring_store *s)
{
	int result = file_read(s->path, KEYRING_FILE_MAX, &s->file);

	if (result == -ENOENT)
		return EXIT_OK;
	if (result < 0)
		return keyring_store_fail(s, file_error_text(-result));
	(void)keyring_parse(s->file.text, s->file.len, s->ring, &s->errors);
	for (size_t i = 0; i < s->errors.count && i < KEYRING_ERRORS_MAX; i++)
		fprintf(stderr, "ekeyctl: %s:%u: %s%s\n", s->path, s->errors.at[i].line,
			s->errors.at[i].why,
			s->errors.at[i].ignored ? "; the line is ignored" : "");
	return EXIT_OK;
}

enum exit_code
keyring_store_open(struct keyring_store *s, const char *path)
{
	*s = (struct keyring_store){.path = path, .replace = {.dir = -1, .fd = -1}};
	s->ring = secret_new(sizeof(*s->ring));
	return s->ring != NULL ? store_read(s) : keyring_store_fail(s, strerror(ENOMEM));
}

enum exit_code
keyring_store_prove(struct keyring_store *s, const uint8_t serial[static KEYED_SERIAL_LEN])
{
	bool full = s->ring->len == KEYRING_MAX && keyring_find(s->ring, serial) == NULL;
	int result;

	if (s->errors.count > 0)
		return keyring_store_fail(s, "it has invalid lines: correct or remove them first");
	if (full || KEYRING_EDITED_LEN(s->file.len) > KEYRING_FILE_MAX)
		return keyring_store_fail(s, "it is full: remove keys that are no longer used");
	s->text_cap = KEYRING_EDITED_LEN(s->file.len);
	s->text = secret_new(s->text_cap);
	if (s->text == NULL)
		return keyring_store_fail(s, strerror(ENOMEM));
	result = atomic_file_prepare(&s->replace, s->path, s->text_cap);
	if (result == -ELOOP)
		return keyring_store_fail(s, "it is a symbolic link: name the file itself");
	return result < 0 ? keyring_store_fail(s, strerror(-result)) : EXIT_OK;
}

enum exit_code
keyring_store_put(struct keyring_store *s, const struct keyring_entry *entry)
{
	size_t len = keyring_edit(s->file.text, s->file.len, entry, s->text);
	int result = atomic_file_commit(&s->replace, s->text, len);

	if (result == 0)
		return EXIT_OK;
	keyring_store_fail(s, strerror(-result));
	return EXIT_NOT_STORED;
}

void
keyring_store_close(struct keyring_store *s)
{
	atomic_file_abandon(&s->replace);
	file_finish(&s->file);
	secret_free(s->ring, sizeof(*s->ring));
	secret_free(s->text, s->text_cap);
	*s = (struct keyring_store){.replace = {.dir = -1, .fd = -1}};
}

/* Prints serial numbers only: the long-term keys beside them are secret. */
enum exit_code
tool_keyring(const struct tool_options *options, char **words)
{
	char path[KEY_ACCESS_PATH_MAX];
	struct keyring_store store;
	enum exit_code code;

	(void)words;
	key_access_keyring(options, path);
	code = keyring_store_open(&store, path);
	for (size_t i = 0; code == EXIT_OK && i < store.ring->len; i++) {
		char serial[KEYRING_SERIAL_TEXT_LEN + 1];

		keyring_serial_text(store.ring->entries[i].serial, serial);
		puts(serial);
	}
	if (code == EXIT_OK && store.file.text == NULL)
		code = keyring_store_fail(&store,
					  "no keyring yet: ekeyctl rekey SERIAL makes one, or copy "
					  "/etc/entropykey/keyring");
	keyring_store_close(&store);
	return code;
}
