/* SPDX-License-Identifier: MIT */
#include "daemon/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/status_row.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/rng_helper.h"

/* With `credit = yes` starts the helper that credits. */
static bool
begin(struct daemon *d)
{
	int result;

	d->rng = HELPER_NONE;
	if (!d->config.kernel_on || !d->config.kernel.credit)
		return true;
	result = helper_start(&d->rng, &rng_helper_role, d->user, NULL);
	if (result < 0)
		log_err("kernel: cannot start %s: %s", rng_helper_role.name, strerror(-result));
	return result >= 0;
}

/* Returns the lowest credit of all sources that have fed the pool. */
static unsigned
credit(void *arg)
{
	return ((const struct daemon *)arg)->credit;
}

static int
start(struct daemon *d, size_t i, void **ret)
{
	const struct kernel_env env = {
		.base = d->base, .pool = d->pool, .rng = &d->rng, .credit = credit, .arg = d};

	(void)i;
	if (d->config.kernel.credit && d->rng.fd < 0)
		log_warn("[kernel] credit = yes needs a restart: the daemon drops "
			 "CAP_SYS_ADMIN at its start; mixing without credit");
	*ret = kernel_feed_new(&env, &d->config.kernel);
	if (*ret == NULL) {
		log_err("kernel: no memory");
		return -ENOMEM;
	}
	log_info("kernel: %zu bytes every %" PRIu64 " s, with%s credit", d->config.kernel.bytes,
		 d->config.kernel.interval_ms / 1000,
		 d->config.kernel.credit && d->rng.fd >= 0 ? "" : "out");
	return 0;
}

/* A feed of the same kind continues with other bytes and another interval. */
static bool
change(struct daemon *d, void *running, const struct config *next, size_t i)
{
	(void)i;
	if (next->kernel.credit != d->config.kernel.credit)
		return false;
	kernel_feed_configure(running, &next->kernel);
	return true;
}

static void
stop(struct daemon *d, size_t i, void *running)
{
	struct kernel_feed *feed = running;

	(void)i;
	kernel_feed_free(&feed);
	helper_stop(&d->rng);
}

static void
finish(struct daemon *d)
{
	helper_stop(&d->rng);
}

static unsigned
invalidate(void *running)
{
	kernel_feed_now(running);
	return 0;
}

static void
feed_rows(const struct status_subject *s, const struct kernel_status *status)
{
	status_row_text(s, "state", status->state);
	status_row_text(s, "credit", status->credit);
	status_row_text(s, "error", status->error < 0 ? strerror(-status->error) : "-");
	status_row_number(s, "feeds", status->feeds);
	status_row_number(s, "failures", status->failures);
	if (status->last_ms != 0)
		status_row_number(s, "last_feed_s", (clock_now_ms() - status->last_ms) / 1000);
	status_row_number(s, "delivered", status->account.delivered);
	status_row_number(s, "lost", status->account.lost);
	status_row_number(s, "credited_bits", status->credited_bits);
	status_row_number(s, "mixed", status->mixed);
	status_row_number(s, "not_mixed", status->not_mixed);
	status_row_bool(s, "ready", status->ready);
	if (status->level_bits >= 0)
		status_row_number(s, "entropy_avail_bits", (uint64_t)status->level_bits);
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	const struct status_subject s = {out, "kernel", ROW_ONLY_ONE};
	struct kernel_status status;

	(void)i;
	status_row_number(&s, "bytes", d->config.kernel.bytes);
	status_row_number(&s, "interval_ms", d->config.kernel.interval_ms);
	if (running == NULL)
		return;
	kernel_feed_status(running, &status);
	feed_rows(&s, &status);
}

const struct part_functions kernel_part = {
	.section = "kernel",
	.begin = begin,
	.start = start,
	.change = change,
	.stop = stop,
	.finish = finish,
	.invalidate = invalidate,
	.status = write_status,
};
