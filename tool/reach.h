/* SPDX-License-Identifier: MIT */
/*
 * Two ways to the key whose long-term key is to be changed: through the daemon that has it, or by
 * opening its device here. Neither is ever told the master key. What goes wrong is said on stderr.
 */
#ifndef TOOL_REACH_H
#define TOOL_REACH_H

#include <stdint.h>

#include "ekey/keyring.h"
#include "ekey/rekey.h"
#include "tool/tool.h"

/* One way, open; each kind embeds it as its first member. */
struct reach {
	const struct reach_kind *kind;
};

struct reach_kind {
	/* The key is there and ready. `mac`: of the nonce that comes next. */
	enum exit_code (*start)(struct reach *reach, const uint8_t mac[static KEYED_MAC_LEN]);
	/* It changes its key. */
	enum exit_code (*change)(struct reach *reach, const uint8_t nonce[static REKEY_NONCE_LEN],
				 uint8_t ret_answer[static KEYED_SECRET_LEN]);
	/* A session under the new key, which is in the keyring now, proves it. */
	enum exit_code (*prove)(struct reach *reach, const struct keyring_entry *entry);
	/* NULL is fine. */
	void (*close)(struct reach *reach);
};

#define REACH_PROVE_MS 15000 /* reset, serial, the key's first wish for a session, entropy */

/* Says why it ended, and whether the key refused or is not there. */
enum exit_code reach_failed(const char *why);

#endif
