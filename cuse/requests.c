/* SPDX-License-Identifier: MIT */
#include "cuse/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"

/* An entry of the table has these in this process, under the same index. */
struct file {
	struct requests *owner;
	struct pool_handle pool;
	struct fuse_pollhandle *ph; /* of its latest poll; NULL: none to notify */
	bool starved;               /* the pool had no place for its poll */
	bool polls;                 /* its user has polled it */
};

struct read {
	struct requests *owner;
	struct pool_waiter *waiter;
	fuse_req_t req;
};

struct requests {
	struct pool *pool;
	const char *name;
	uint8_t *reply;   /* REQUESTS_REPLY_MAX bytes of secret memory, empty between two answers */
	uint32_t starved; /* files that are */
	uint32_t replayed; /* the entry that the replayed read has in the table, or TABLE_NONE */
	struct log_limit refused;
	struct table *table;
	struct file files[TABLE_FILES];
	struct read reads[TABLE_READS];
};

/* A user asked for more than there is, or more than its share. */
static void
note_refusal(struct requests *r, const char *what, uid_t uid)
{
	log_warn_limited(&r->refused, uid, clock_now_ms(),
			 "%s: too many %s, one of uid %u was refused", r->name, what,
			 (unsigned)uid);
}

/* ---- open and release ---- */

static bool
file_open_in_pool(struct requests *r, uint32_t index, uid_t uid)
{
	const struct pool_client client = {.kind = IDENTITY_UID, .number = uid, .weight = 1};
	struct file *f = &r->files[index];

	*f = (struct file){.owner = r};
	return pool_handle_open(r->pool, &f->pool, &r->table->account, &client);
}

int
requests_open(struct requests *r, uid_t uid, int flags, uint64_t *ret_fh)
{
	uint32_t index = TABLE_NONE;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return EACCES;
	/* Several users together must not shut others out either, of this outlet or another. */
	if (!pool_handles_are_short(r->pool) || !table_has_file_of(r->table, uid))
		index = table_file_open(r->table, uid);
	if (index != TABLE_NONE && file_open_in_pool(r, index, uid)) {
		*ret_fh = index;
		return 0;
	}
	if (index != TABLE_NONE)
		table_file_close(r->table, index);
	note_refusal(r, "open files", uid);
	return ENFILE;
}

/* ---- polls: one poll handle for each open file, the latest ---- */

/*
 * Returns how many bytes a read of `asked` needs to be answered without waiting. A file that polls
 * is served in whole turns: QEMU hands the bytes of one read to its guest, and where those are less
 * than the 64 that Linux asked for, the driver of some kernels (Debian's 6.1.192 and 6.12.118)
 * loses a part of them, and hangs.
 */
static size_t
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

/* Drops the file's poll handle. Its armed poll in the pool is left alone. */
static void
poll_forget(struct file *f)
{
	struct table_file *entry = &f->owner->table->files[f - f->owner->files];

	if (f->ph != NULL)
		fuse_pollhandle_destroy(f->ph);
	f->ph = NULL;
	entry->poll_wanted = false;
	poll_set_starved(f, false);
}

/* A notification is good for one wake-up: a task that goes on waiting polls again. */
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

/* A waiter has gone: polls for which the pool had no place may get one. */
static void
poll_arm_starved(struct requests *r)
{
	for (uint32_t i = 0; i < r->table->files_used && r->starved > 0; i++) {
		struct file *f = &r->files[i];

		if (!f->starved)
			continue;
		if (poll_is_ready(f))
			poll_notify(f);
		else
			poll_arm(f); /* or not yet: its user may still hold its share */
	}
}

/* The file's stash has bytes now. */
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
 * After a read without waiting. An edge-triggered epoll polls once and then relies on
 * notifications: the reader that took the last bytes must be notified of the next ones although it
 * does not poll.
 */
static void
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

/* ---- reads ---- */

/* Hands over the first `len` bytes of the reply; false when the kernel did not take them. */
static bool
read_reply(struct requests *r, fuse_req_t req, size_t len)
{
	bool delivered = fuse_reply_buf(req, (const char *)r->reply, len) == 0;

	secret_wipe(r->reply, len);
	r->table->account.requests += delivered && len > 0;
	return delivered;
}

/* Ends a blocked read; its request has been answered, or freed, by the caller. */
static void
read_finish(struct read *p, bool delivered)
{
	struct requests *r = p->owner;
	struct pool_waiter *waiter = p->waiter;

	table_read_remove(r->table, (uint32_t)(p - r->reads));
	*p = (struct read){0};
	pool_waiter_done(r->pool, waiter, delivered);
	poll_arm_starved(r);
}

/* Answers a blocked read with its gathered bytes, and a long one with all bytes that are there. */
static void
read_answer(struct read *p, bool with_more)
{
	struct requests *r = p->owner;
	struct table_read *entry = &r->table->reads[p - r->reads];
	struct pool_handle *handle = &r->files[entry->file].pool;
	size_t gathered, more = 0;
	const uint8_t *bytes = pool_waiter_bytes(p->waiter, &gathered);
	bool delivered;

	memcpy(r->reply, bytes, gathered);
	if (with_more && entry->asked > gathered)
		more = pool_take(r->pool, handle, r->reply + gathered, entry->asked - gathered);
	delivered = read_reply(r, p->req, gathered + more);
	if (!delivered && more > 0)
		pool_delivery_failed(r->pool, handle, more);
	read_finish(p, delivered);
}

static void
read_ready(struct pool_waiter *waiter, void *arg)
{
	struct read *p = arg;

	p->waiter = waiter;
	read_answer(p, true);
}

/* Ends a blocked read early: with its gathered bytes, or with `error`. */
static void
read_cut_short(struct read *p, int error)
{
	size_t gathered;

	pool_waiter_bytes(p->waiter, &gathered);
	if (gathered > 0) {
		read_answer(p, false);
	} else {
		fuse_reply_err(p->req, error);
		read_finish(p, false);
	}
}

/* The kernel holds even a killed reader until this is answered: the answer cannot wait. */
static void
read_interrupted(fuse_req_t req, void *data)
{
	struct read *p = data;

	(void)req;
	p->owner->table->interrupted++;
	read_cut_short(p, EINTR);
}

static void
read_wait(struct requests *r, fuse_req_t req, uint64_t unique, uint32_t file, uint32_t asked)
{
	size_t need = asked < POOL_GATHER_MAX ? asked : POOL_GATHER_MAX;
	uint32_t index = r->replayed;
	struct read *p;

	if (index != TABLE_NONE)
		r->table->reads[index].asked = asked; /* the limit of a previous build may differ */
	else if (!pool_waiters_are_short(r->pool) ||
		 !table_has_read_of(r->table, r->table->files[file].uid))
		index = table_read_add(r->table, file, unique, asked);
	if (index != TABLE_NONE) {
		p = &r->reads[index];
		*p = (struct read){.owner = r, .req = req};
		p->waiter = pool_wait(r->pool, &r->files[file].pool, need, read_ready, p);
		if (p->waiter != NULL) {
			fuse_req_interrupt_func(req, read_interrupted, p);
			return;
		}
		*p = (struct read){0};
		table_read_remove(r->table, index);
	}
	/* Too many wait already. EAGAIN is the one error that every reader handles. */
	note_refusal(r, "blocked reads", fuse_req_ctx(req)->uid);
	fuse_reply_err(req, EAGAIN);
}

static void
read_now(struct requests *r, fuse_req_t req, struct pool_handle *handle, size_t asked)
{
	size_t len = pool_take(r->pool, handle, r->reply, asked);

	if (!read_reply(r, req, len))
		pool_delivery_failed(r->pool, handle, len);
	if (r->replayed != TABLE_NONE) /* it is no longer pending */
		table_read_remove(r->table, r->replayed);
}

void
requests_read(struct requests *r, fuse_req_t req, uint64_t unique, const struct fuse_file_info *fi,
	      size_t asked)
{
	size_t ready, need = asked < POOL_GATHER_MAX ? asked : POOL_GATHER_MAX;
	bool wait = (fi->flags & O_NONBLOCK) == 0;
	struct file *f;

	if (table_file(r->table, fi->fh) == NULL) {
		fuse_reply_err(req, EBADF);
		return;
	}
	f = &r->files[fi->fh];
	if (asked > REQUESTS_REPLY_MAX)
		asked = REQUESTS_REPLY_MAX;
	ready = pool_ready(r->pool, &f->pool);
	if (ready >= need || (!wait && ready >= poll_least(f, asked)))
		read_now(r, req, &f->pool, asked);
	else if (!wait)
		fuse_reply_err(req, EAGAIN);
	else if (fuse_req_interrupted(req))
		fuse_reply_err(req, EINTR);
	else
		read_wait(r, req, unique, (uint32_t)fi->fh, (uint32_t)asked);
	if (!wait)
		poll_arm_when_emptied(f);
}

void
requests_release(struct requests *r, uint64_t fh)
{
	struct table_file *entry = table_file(r->table, fh);
	struct file *f;

	if (entry == NULL)
		return;
	f = &r->files[fh];
	/* The kernel releases a file after its last read has ended; this loop is a safeguard. */
	for (uint32_t i = 0; i < r->table->reads_used && entry->reads > 0; i++) {
		if (r->reads[i].req != NULL && r->table->reads[i].file == fh)
			read_cut_short(&r->reads[i], EINTR);
	}
	poll_forget(f);
	pool_handle_close(r->pool, &f->pool);
	table_file_close(r->table, (uint32_t)fh);
	poll_arm_starved(r);
}

/* ---- ioctl ---- */

void
requests_ioctl(struct requests *r, fuse_req_t req, unsigned command, size_t out_size)
{
	int bits = (int)(pool_level(r->pool) * 8);
	bool root = fuse_req_ctx(req)->uid == 0;

	switch (command) {
	case RNDGETENTCNT:
		if (out_size >= sizeof(bits))
			fuse_reply_ioctl(req, 0, &bits, sizeof(bits));
		else
			fuse_reply_err(req, EINVAL);
		return;
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		fuse_reply_err(req, root ? EINVAL : EPERM);
		return;
	default:
		fuse_reply_err(req, EINVAL);
	}
}

/* ---- resuming ---- */

bool
requests_resume(struct requests *r)
{
	const struct table_file *files = r->table->files;
	uint32_t i = 0;

	while (i < r->table->files_used &&
	       (!files[i].open || file_open_in_pool(r, i, files[i].uid)))
		i++;
	if (i == r->table->files_used)
		return true;
	while (i-- > 0)
		if (files[i].open)
			pool_handle_close(r->pool, &r->files[i].pool);
	table_clear(r->table);
	return false;
}

void
requests_replay(struct requests *r, uint32_t read)
{
	r->replayed = read;
}

/* ---- life ---- */

struct requests *
requests_new(struct pool *pool, struct table *table, const char *name)
{
	struct requests *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->reply = secret_new(REQUESTS_REPLY_MAX);
	if (r->reply == NULL) {
		free(r);
		return NULL;
	}
	r->pool = pool;
	r->name = name;
	r->table = table;
	r->replayed = TABLE_NONE;
	return r;
}

void
requests_abandon(struct requests *r)
{
	for (uint32_t i = 0; i < r->table->reads_used; i++) {
		if (r->reads[i].req == NULL)
			continue;
		fuse_reply_none(r->reads[i].req);
		read_finish(&r->reads[i], false);
	}
	/* Files of saved state that could not be resumed have no place in the pool yet. */
	for (uint32_t i = 0; i < r->table->files_used; i++)
		if (r->files[i].owner != NULL)
			requests_release(r, i);
}

void
requests_free(struct requests **requests)
{
	struct requests *r = *requests;

	*requests = NULL;
	if (r == NULL)
		return;
	requests_abandon(r);
	secret_free(r->reply, REQUESTS_REPLY_MAX);
	free(r);
}

struct table *
requests_table(struct requests *r)
{
	return r->table;
}
