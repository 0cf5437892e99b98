/* SPDX-License-Identifier: MIT */
#include "daemon/reload.h"

#include <string.h>

#include "daemon/files.h"
#include "daemon/inputs.h"
#include "lib/log.h"

/* Keeps what only a start can change. */
static void
keep_fixed(const struct config *now, struct config *next)
{
	static const char *const fixed[] = {"daemon", "pool"};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (!config_equal(fixed[i], now, next))
			log_warn("[%s]: changes need a restart", fixed[i]);
		config_keys_copy(fixed[i], next, now);
	}
}

static void
swap_keyring(struct daemon *d, struct keyring *next)
{
	struct keyring *old = d->keyring;
	struct source *source;

	d->keyring = next;
	d->keyring_seen = next;
	for (size_t i = 0; (source = inputs_at(d, i)) != NULL; i++)
		source_keyring_changed(source);
	files_free_keyring(&old);
}

/* Old parts stop before new ones start: they may have the same path. */
static void
swap_config(struct daemon *d, const struct config *next)
{
	parts_keep(d, next);
	tls_process_reload(d);
	d->config = *next;
	starts_discard(&d->starts, d->store, &d->config);
	retry_reset(&d->retry);
	parts_start(d);
}

void
reload(struct daemon *d)
{
	struct config next;
	struct keyring *ring = NULL;

	if (files_read_config(d->config_path, &next)) {
		keep_fixed(&d->config, &next);
		ring = files_read_keyring(&next);
	}
	if (ring == NULL) {
		log_err("SIGHUP: nothing was changed");
		return;
	}
	swap_config(d, &next);
	swap_keyring(d, ring);
	log_info("SIGHUP: %s and %s are in force", d->config_path, d->config.keyring);
}

bool
reload_keyring(struct daemon *d)
{
	struct keyring *ring = files_read_keyring(&d->config);

	if (ring != NULL)
		swap_keyring(d, ring);
	return ring != NULL;
}
