/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "daemon/devices.h"
#include "daemon/inputs.h"
#include "daemon/row.h"

static void
status_daemon(const struct daemon *d, struct evbuffer *out)
{
	const struct row_subject s = {out, "daemon", ROW_ONLY_ONE};

	row_text(&s, "version", VERSION);
	row_number(&s, "pid", (uint64_t)getpid());
	row_number(&s, "uptime_s", (clock_now_ms() - d->started_ms) / 1000);
	row_text(&s, "keyring", d->config.keyring);
	row_number(&s, "long_term_keys", d->keyring->len);
}

static void
status_pool(const struct daemon *d, struct evbuffer *out)
{
	const struct row_subject s = {out, "pool", ROW_ONLY_ONE};
	struct pool_totals totals;

	pool_totals(d->pool, &totals);
	row_number(&s, "level_bytes", pool_level(d->pool));
	row_number(&s, "size_bytes", d->pool_size);
	row_number(&s, "in", totals.in);
	row_number(&s, "delivered", totals.delivered);
	row_number(&s, "lost", totals.lost);
	row_number(&s, "held", totals.held);
	row_number(&s, "waiters", totals.waiters);
	row_number(&s, "handles", totals.handles);
}

void
status_write(const struct daemon *d, struct evbuffer *out)
{
	status_daemon(d, out);
	status_pool(d, out);
	inputs_status(d, out);
	devices_status(d, out);
}

/* ---- in one line ---- */

struct key_count {
	unsigned sources, connected, keyed;
	const char *state; /* of the only source, or of the one key that is connected */
};

static void
count_key(const struct source *source, struct key_count *keys)
{
	struct source_status status;

	source_status(source, &status);
	keys->connected += status.connected;
	keys->keyed += strcmp(status.state, session_state_text(SESSION_KEYED)) == 0;
	if (status.connected || keys->sources == 0)
		keys->state = status.state;
	keys->sources++;
}

static void
count_keys(const struct daemon *d, struct key_count *ret)
{
	const struct source *source;

	for (size_t i = 0; (source = inputs_at(d, i)) != NULL; i++)
		count_key(source, ret);
	if (ret->connected == 0 && ret->sources != 1)
		ret->state = "waiting";
}

void
status_line(const struct daemon *d, char *ret, size_t size)
{
	struct key_count keys = {.state = "waiting"};
	size_t level = pool_level(d->pool);

	count_keys(d, &keys);
	if (keys.connected > 1)
		snprintf(ret, size, "%u keys, %u keyed; pool %zu/%zu bytes", keys.connected,
			 keys.keyed, level, d->pool_size);
	else
		snprintf(ret, size, "%s, %s; pool %zu/%zu bytes",
			 keys.connected == 1 ? "1 key" : "no key", keys.state, level, d->pool_size);
}
