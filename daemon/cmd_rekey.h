/* SPDX-License-Identifier: MIT */
/*
 * Commands of an administrator on the control socket:
 *     RekeyStart SERIAL MAC8       OK when the key is ready to change its long-term key
 *     RekeyFinish SERIAL NONCE16   a row with the key's 32 bytes, in PEM, when it has changed it
 *     Keyring                      the keyring file is read again
 * MAC8 and NONCE16 are PEM too. The daemon does not have the master key: without it these bytes,
 * which cross the USB wire in clear, do not disclose the new key. One change at a time.
 */
#ifndef DAEMON_CMD_REKEY_H
#define DAEMON_CMD_REKEY_H

#include <stdint.h>

#include "daemon/ctl/server.h"

struct source;

/* The change in progress. */
struct cmd_rekey {
	struct source *source; /* NULL: none */
	uint64_t ticket;       /* of the request that is not answered yet; 0: none */
};

/* All for ctl_command.run; `arg` is the daemon. */
const char *cmd_rekey_start(void *arg, const struct ctl_request *request);
const char *cmd_rekey_finish(void *arg, const struct ctl_request *request);
const char *cmd_keyring(void *arg, const struct ctl_request *request);

#endif
