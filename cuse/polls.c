/* SPDX-License-Identifier: MIT */
/* Who sleeps in poll, select or epoll: one poll handle for each open file, the latest. */
#include <errno.h>
#include <poll.h>

#include "cuse/inside.h"

size_t
poll_least(const struct file *f, size_t asked)
{
	if (!f->polls)
		return 1;
	return asked < POOL_QUANTUM ? asked : POOL_QUANTUM;
}

static bool
poll_is_ready(const struct file *f)
{
	return pool_ready(f->owner->pool, &f->pool) >= POOL_QUANTUM;
}

static void
poll_set_starved(struct file *f, bool starved)
{
	if (f->starved != starved)
		f->owner->starved += starved ? 1 : -1U;
	f->starved = starved;
}

void
poll_forget(struct file *f)
{
	struct table_file *entry = &f->owner->table->files[f - f->owner->files];

	if (f->ph != NULL)
		fuse_pollhandle_destroy(f->ph);
	f->ph = NULL;
	entry->poll_wanted = false;
	poll_set_starved(f, false);
}

/* A notification is good for one wake-up only: whoever goes on waiting asks us again. */
static void
poll_notify(struct file *f)
{
	if (f->ph != NULL)
		fuse_lowlevel_notify_poll(f->ph);
	poll_forget(f);
}

static void poll_ready(struct pool_waiter *waiter, void *arg);

static void
poll_arm(struct file *f)
{
	poll_set_starved(f, !pool_poll_arm(f->owner->pool, &f->pool, poll_ready, f));
}

void
poll_arm_starved(struct requests *r)
{
	for (uint32_t i = 0; i < r->table->files_used && r->starved > 0; i++) {
		struct file *f = &r->files[i];

		if (!f->starved)
			continue;
		if (poll_is_ready(f))
			poll_notify(f);
		else
			poll_arm(f); /* or not yet: its user may hold his share, and others not */
	}
}

/* Something is in the file's stash now. */
static void
poll_ready(struct pool_waiter *waiter, void *arg)
{
	struct file *f = arg;
	struct requests *r = f->owner;

	(void)waiter;
	poll_notify(f);
	poll_arm_starved(r);
}

/*
 * An edge-triggered epoll asks us once and then relies on notifications: who has emptied us must
 * hear of the next bytes although he does not ask again.
 */
void
poll_arm_when_emptied(struct file *f)
{
	if (f->ph != NULL && !poll_is_ready(f))
		poll_arm(f);
}

void
requests_poll(struct requests *r, fuse_req_t req, const struct fuse_file_info *fi,
	      struct fuse_pollhandle *ph, uint64_t poll_handle)
{
	struct table_file *entry = table_file(r->table, fi->fh);
	struct file *f;
	bool ready;

	if (entry == NULL) {
		if (ph != NULL)
			fuse_pollhandle_destroy(ph);
		fuse_reply_err(req, EBADF);
		return;
	}
	f = &r->files[fi->fh];
	f->polls = true;
	if (ph != NULL) {
		poll_forget(f);
		f->ph = ph;
		entry->poll_wanted = true;
		entry->poll_handle = poll_handle;
	}
	ready = poll_is_ready(f);
	if (!ready && f->ph != NULL)
		poll_arm(f);
	fuse_reply_poll(req, ready ? POLLIN | POLLRDNORM : 0);
}
