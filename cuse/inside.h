/* SPDX-License-Identifier: MIT */
/* What requests.c (files, reads) and polls.c share; for nobody else. */
#ifndef CUSE_INSIDE_H
#define CUSE_INSIDE_H

#include "base/log.h"
#include "cuse/requests.h"

/* What goes with an entry of the table in this process only, under the same index. */
struct file {
	struct requests *owner;
	struct pool_handle pool;
	struct fuse_pollhandle *ph; /* of its latest poll; NULL: nobody to notify */
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
	uint32_t replayed; /* entry of the table that the read in hand has already, or TABLE_NONE */
	struct log_limit refused;
	struct table *table;
	struct file files[TABLE_FILES];
	struct read reads[TABLE_READS];
};

/* ---- polls.c ---- */

/*
 * Bytes that must be there for a read of `asked` without waiting. Who polls is served in whole
 * turns: QEMU hands what it reads to its guest, and where that is less than the 64 bytes that Linux
 * asked for, the driver of some kernels (Debian's 6.1.192 and 6.12.118) forgets a part of it, and
 * waits for ever.
 */
size_t poll_least(const struct file *f, size_t asked);

/* Nobody of this file is to be notified any more. Its armed poll in the pool is left alone. */
void poll_forget(struct file *f);

/* After a read without waiting. */
void poll_arm_when_emptied(struct file *f);

/* A waiter has gone: polls for which the pool had no place may get one. */
void poll_arm_starved(struct requests *r);

#endif
