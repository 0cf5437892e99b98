/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clones.h"
#include "daemon/inputs.h"
#include "daemon/status_row.h"
#include "lib/clock.h"
#include "lib/version.h"

static void
status_daemon(const struct daemon *d, struct evbuffer *out)
{
	const struct status_subject s = {out, "daemon", ROW_ONLY_ONE};

	status_row_text(&s, "version", VERSION);
	status_row_number(&s, "pid", (uint64_t)getpid());
	status_row_number(&s, "uptime_s", (clock_now_ms() - d->started_ms) / 1000);
	status_row_text(&s, "keyring", d->config.keyring);
	status_row_number(&s, "long_term_keys", d->keyring->len);
	status_row_number(&s, "seed_bytes", d->seeds.delivered);
}

static void
status_pool(const struct daemon *d, struct evbuffer *out)
{
	const struct status_subject s = {out, "pool", ROW_ONLY_ONE};
	struct pool_totals totals;

	pool_totals(d->pool, &totals);
	status_row_number(&s, "level_bytes", totals.level);
	status_row_number(&s, "reserved_bytes", totals.reserved);
	status_row_number(&s, "size_bytes", d->pool_size);
	status_row_number(&s, "in", totals.in);
	status_row_number(&s, "delivered", totals.delivered);
	status_row_number(&s, "lost", totals.lost);
	status_row_number(&s, "held", totals.held);
	status_row_number(&s, "waiters", totals.waiters);
	status_row_number(&s, "handles", totals.handles);
}

void
status_write(const struct daemon *d, struct evbuffer *out)
{
	status_daemon(d, out);
	clones_status(d, out);
	status_pool(d, out);
	parts_status(d, out);
	tls_process_status(d, out);
}

/* ---- in one line ---- */

struct count {
	unsigned sources, keys, servers, connected, serving;
	const char *state; /* of the only source, or of the one that is connected */
};

static void
count_source(const struct source *source, struct count *count)
{
	struct source_status status;

	source_status(source, &status);
	count->connected += status.connected;
	count->serving += status.serves;
	count->keys += status.type == SOURCE_EKEY;
	count->servers += status.type == SOURCE_EGD;
	if (status.connected || count->sources == 0)
		count->state = status.state;
	count->sources++;
}

static void
count_sources(const struct daemon *d, struct count *ret)
{
	const struct source *source;

	for (size_t i = 0; (source = inputs_at(d, i)) != NULL; i++)
		count_source(source, ret);
	if (ret->connected == 0 && ret->sources != 1)
		ret->state = "waiting";
}

/* Keys, servers, or both: then they are sources. */
void
status_line(const struct daemon *d, char *ret, size_t size)
{
	struct count n = {.state = "waiting"};
	size_t level = pool_level(d->pool);
	const char *noun;

	count_sources(d, &n);
	noun = n.keys == n.sources ? "key" : n.servers == n.sources ? "upstream" : "source";
	if (n.connected > 1)
		snprintf(ret, size, "%u %ss, %u %s; pool %zu/%zu bytes", n.connected, noun,
			 n.serving, n.keys == n.sources ? "keyed" : "serving", level, d->pool_size);
	else
		snprintf(ret, size, "%s %s, %s; pool %zu/%zu bytes", n.connected == 1 ? "1" : "no",
			 noun, n.state, level, d->pool_size);
}
