/* SPDX-License-Identifier: MIT */
#include "daemon/kernel.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/row.h"
#include "priv/rng_helper.h"

bool
kernel_prepare(struct daemon *d)
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

/* The lowest that any source deserves which has fed the pool. */
static unsigned
credit(void *arg)
{
	return ((const struct daemon *)arg)->credit;
}

bool
kernel_start(struct daemon *d)
{
	const struct kernel_env env = {
		.base = d->base, .pool = d->pool, .rng = &d->rng, .credit = credit, .arg = d};

	if (!d->config.kernel_on || d->kernel != NULL)
		return true;
	if (d->config.kernel.credit && d->rng.fd < 0)
		log_warn("[kernel] credit = yes needs a restart: the daemon drops "
			 "CAP_SYS_ADMIN at its start; mixing without credit");
	d->kernel = kernel_feed_new(&env, &d->config.kernel);
	if (d->kernel == NULL) {
		log_err("kernel: no memory");
		return false;
	}
	log_info("kernel: %zu bytes every %" PRIu64 " s, with%s credit", d->config.kernel.bytes,
		 d->config.kernel.interval_ms / 1000,
		 d->config.kernel.credit && d->rng.fd >= 0 ? "" : "out");
	return true;
}

/* A feed of the same kind goes on with its new measures. */
void
kernel_keep(struct daemon *d, const struct config *next)
{
	if (d->kernel == NULL)
		return;
	if (next->kernel_on && next->kernel.credit == d->config.kernel.credit) {
		kernel_feed_configure(d->kernel, &next->kernel);
		return;
	}
	kernel_stop(d);
	log_info("kernel: stopped");
}

void
kernel_stop(struct daemon *d)
{
	kernel_feed_free(&d->kernel);
	helper_stop(&d->rng);
}

static void
feed_rows(const struct row_subject *s, const struct kernel_status *status)
{
	row_text(s, "state", status->state);
	row_text(s, "credit", status->credit);
	row_text(s, "error", status->error < 0 ? strerror(-status->error) : "-");
	row_number(s, "feeds", status->feeds);
	row_number(s, "failures", status->failures);
	if (status->last_ms != 0)
		row_number(s, "last_feed_s", (clock_now_ms() - status->last_ms) / 1000);
	row_number(s, "delivered", status->account.delivered);
	row_number(s, "lost", status->account.lost);
	row_number(s, "credited_bits", status->credited_bits);
	row_number(s, "mixed", status->mixed);
	row_number(s, "not_mixed", status->not_mixed);
	row_bool(s, "ready", status->ready);
	if (status->level_bits >= 0)
		row_number(s, "entropy_avail_bits", (uint64_t)status->level_bits);
}

void
kernel_status(const struct daemon *d, struct evbuffer *out)
{
	const struct row_subject s = {out, "kernel", ROW_ONLY_ONE};
	struct kernel_status status;

	if (d->kernel == NULL)
		return;
	row_number(&s, "bytes", d->config.kernel.bytes);
	row_number(&s, "interval_ms", d->config.kernel.interval_ms);
	kernel_feed_status(d->kernel, &status);
	feed_rows(&s, &status);
}
