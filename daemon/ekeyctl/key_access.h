/* SPDX-License-Identifier: MIT */
/*
 * The ways to a key: through the daemon that has it, or by sources that are run in this process.
 * Neither is given the master key. Errors are printed on stderr.
 */
#ifndef DAEMON_EKEYCTL_KEY_ACCESS_H
#define DAEMON_EKEYCTL_KEY_ACCESS_H

#include <event2/buffer.h>

#include "backend/ekey/keyring.h"
#include "backend/ekey/rekey.h"
#include "daemon/ekeyctl/tool.h"

#define KEY_ACCESS_PATH_MAX 1024
#define KEY_ACCESS_PROVE_MS 15000 /* reset, serial, the key's first session, entropy */

/* One key whose long-term key is to be changed; each kind embeds it as its first member. */
struct key_access {
	/* Prepares the change. `mac` is that of the nonce that comes next. */
	enum exit_code (*start)(struct key_access *access, const uint8_t mac[static KEYED_MAC_LEN]);
	/* Makes the change. */
	enum exit_code (*change)(struct key_access *access,
				 const uint8_t nonce[static REKEY_NONCE_LEN],
				 uint8_t ret_answer[static KEYED_SECRET_LEN]);
	/* Waits for a session under the new long-term key, which is in the keyring. */
	enum exit_code (*prove)(struct key_access *access, const struct keyring_entry *entry);
	void (*close)(struct key_access *access);
};

/*
 * Finds the key through the daemon, whose keyring must be options->keyring where that is given.
 * *ret is set with EXIT_OK only.
 */
enum exit_code key_access_daemon(const struct tool_options *options, const char *serial,
				 struct key_access **ret);

/* Opens the key at options->device: "usb", "usb:SERIAL", "unix:PATH", or a tty's or socket's path.
 */
enum exit_code key_access_local(const struct tool_options *options, const char *serial,
				struct key_access **ret);

/* Prints why it ended; returns whether the key refused or is not there. */
enum exit_code key_access_failed(const char *why);

/* Returns the keyring's path: options->keyring, else the daemon's, else the usual one. */
void key_access_keyring(const struct tool_options *options, char ret[static KEY_ACCESS_PATH_MAX]);

/*
 * Runs the keys at options->device, "usb" being all that are plugged in, for options->timeout_ms,
 * and adds the report of each, or of the one with this serial number (NULL: all), to `report`.
 */
enum exit_code key_access_report(const struct tool_options *options, const char *serial,
				 struct evbuffer *report);

#endif
