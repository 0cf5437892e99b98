/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tool/daemon.h"
#include "tool/store.h"

/* Serial numbers only: what stands beside them is nobody's to see. */
enum exit_code
tool_keyring(const struct tool_options *options, char **words)
{
	char path[DAEMON_PATH_MAX];
	struct store store;
	enum exit_code code;

	(void)words;
	daemon_keyring_path(options, path);
	code = store_open(&store, path);
	for (size_t i = 0; code == EXIT_OK && i < store.ring->len; i++) {
		char serial[KEYRING_SERIAL_TEXT_LEN + 1];

		keyring_serial_text(store.ring->entries[i].serial, serial);
		puts(serial);
	}
	if (code == EXIT_OK && store.file.text == NULL) {
		fprintf(stderr,
			"ekeyctl: %s: no keyring yet: ekeyctl rekey SERIAL makes one, or copy "
			"/etc/entropykey/keyring\n",
			path);
		code = EXIT_KEYRING;
	}
	store_close(&store);
	return code;
}
