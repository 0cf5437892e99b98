/* SPDX-License-Identifier: MIT */
#include "cuse/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "cuse/inside.h"

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

/* Somebody asked for more than there is, or than his share. */
static void
requests_note_refusal(struct requests *r, const char *what, uid_t uid)
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
	/* Several users together must not shut others out either, here or of another outlet. */
	if (!pool_handles_are_short(r->pool) || !table_has_file_of(r->table, uid))
		index = table_file_open(r->table, uid);
	if (index == TABLE_NONE) {
		requests_note_refusal(r, "open files", uid);
		return ENFILE;
	}
	if (!file_open_in_pool(r, index, uid)) {
		table_file_close(r->table, index);
		requests_note_refusal(r, "open files", uid);
		return ENFILE;
	}
	*ret_fh = index;
	return 0;
}

/* ---- reads ---- */

/* Hands over the first `len` bytes of the reply; false when nobody heard them. */
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

/* Copies what a blocked read has gathered into the reply, and for a long one what else is there. */
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

/* Ends a blocked read before its time: with what it has, or with `error`. */
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

/* The kernel holds even a killed reader until this is answered: it must never be put off. */
static void
read_interrupted(fuse_req_t req, void *data)
{
	struct read *p = data;

	(void)req;
	p->owner->table->interrupted++;
	read_cut_short(p, EINTR);
}

/* Too many wait already. EAGAIN is the one error that every reader bears. */
static void
read_refuse(struct requests *r, fuse_req_t req)
{
	requests_note_refusal(r, "blocked reads", fuse_req_ctx(req)->uid);
	fuse_reply_err(req, EAGAIN);
}

static void
read_wait(struct requests *r, fuse_req_t req, uint64_t unique, uint32_t file, uint32_t asked)
{
	size_t need = asked < POOL_GATHER_MAX ? asked : POOL_GATHER_MAX;
	uint32_t index = r->replayed;
	struct read *p;

	if (index != TABLE_NONE)
		r->table->reads[index].asked = asked; /* a former build may have given more */
	else if (!pool_waiters_are_short(r->pool) ||
		 !table_has_read_of(r->table, r->table->files[file].uid))
		index = table_read_add(r->table, file, unique, asked);
	if (index == TABLE_NONE) {
		read_refuse(r, req);
		return;
	}
	p = &r->reads[index];
	*p = (struct read){.owner = r, .req = req};
	p->waiter = pool_wait(r->pool, &r->files[file].pool, need, read_ready, p);
	if (p->waiter == NULL) {
		*p = (struct read){0};
		table_read_remove(r->table, index);
		read_refuse(r, req);
		return;
	}
	fuse_req_interrupt_func(req, read_interrupted, p);
}

static void
read_now(struct requests *r, fuse_req_t req, struct pool_handle *handle, size_t asked)
{
	size_t len = pool_take(r->pool, handle, r->reply, asked);

	if (!read_reply(r, req, len))
		pool_delivery_failed(r->pool, handle, len);
	if (r->replayed != TABLE_NONE) /* it is pending no more */
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
	/* The kernel releases a file after its last read has ended; this loop trusts nobody. */
	for (uint32_t i = 0; i < r->table->reads_used && entry->reads > 0; i++) {
		if (r->reads[i].req != NULL && r->table->reads[i].file == fh)
			read_cut_short(&r->reads[i], EINTR);
	}
	poll_forget(f);
	pool_handle_close(r->pool, &f->pool);
	table_file_close(r->table, (uint32_t)fh);
	poll_arm_starved(r);
}

/* ---- the next generation ---- */

static void
requests_close_in_pool(struct requests *r, uint32_t below)
{
	for (uint32_t i = 0; i < below; i++)
		if (r->table->files[i].open)
			pool_handle_close(r->pool, &r->files[i].pool);
}

bool
requests_resume(struct requests *r)
{
	for (uint32_t i = 0; i < r->table->files_used; i++) {
		if (!r->table->files[i].open || file_open_in_pool(r, i, r->table->files[i].uid))
			continue;
		requests_close_in_pool(r, i);
		table_clear(r->table);
		return false;
	}
	return true;
}

void
requests_replay(struct requests *r, uint32_t read)
{
	r->replayed = read;
}

/* ---- the rest ---- */

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

bool
requests_pending(const struct requests *r)
{
	return r->table->reads_pending > 0;
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

struct table *
requests_table(struct requests *r)
{
	return r->table;
}

void
requests_status(const struct requests *r, struct requests_status *ret)
{
	*ret = (struct requests_status){
		.opens = r->table->files_open,
		.interrupted = r->table->interrupted,
		.account = r->table->account,
	};
}
