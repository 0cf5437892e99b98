/* SPDX-License-Identifier: MIT */
/*
 * Open, read, poll, ioctl, interrupt and release on our device, the same by CUSE and by FUSE:
 * requests of the kernel are answered from the pool, by libfuse.
 *
 * A blocking read of up to POOL_GATHER_MAX bytes is answered whole; a longer one with at least that
 * many. O_NONBLOCK gets the bytes that are there, else EAGAIN. A signal ends a wait with the
 * gathered bytes, or with EINTR. An answer that the kernel does not take is lost, and not repeated.
 */
#ifndef CUSE_REQUESTS_H
#define CUSE_REQUESTS_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse/table.h"
#include "pool/pool.h"

/* Longest answer to one read, in bytes; more would only keep more entropy in one place at once. */
#define REQUESTS_REPLY_MAX 65536

struct requests;

/* NULL: no memory. `name` is for the log; all three outlive the requests. */
struct requests *requests_new(struct pool *pool, struct table *table, const char *name);

/* Ends everything as requests_abandon() does. NULLs the pointer. */
void requests_free(struct requests **requests);

/*
 * 0 with the number of the open file in *ret_fh, or the errno for the caller: EACCES for any kind
 * of writing, ENFILE when the files, or those of this uid, are at their limit. When the kernel does
 * not take the answer, it will not send a release: the connection then calls requests_release().
 */
int requests_open(struct requests *r, uid_t uid, int flags, uint64_t *ret_fh);
void requests_release(struct requests *r, uint64_t fh);

/* `unique`: the kernel's number of this request. Answers at once or later. */
void requests_read(struct requests *r, fuse_req_t req, uint64_t unique,
		   const struct fuse_file_info *fi, size_t asked);

/*
 * Answers at once. `ph`, when not NULL, is owned from here on, and is notified once as soon as
 * there are bytes; `poll_handle` is the kernel's number for it.
 */
void requests_poll(struct requests *r, fuse_req_t req, const struct fuse_file_info *fi,
		   struct fuse_pollhandle *ph, uint64_t poll_handle);

/*
 * RNDGETENTCNT answers the bits in the pool. The calls of random(4) that add or discard entropy are
 * EPERM, as there; for root they are EINVAL and not a success without effect: nothing enters or
 * leaves the pool that way, and a program that credits entropy must not believe it did.
 */
void requests_ioctl(struct requests *r, fuse_req_t req, unsigned command, size_t out_size);

/*
 * Opens in the pool the files that are open in the table of a previous daemon. False when the pool
 * has no place for them all: the table is empty then.
 */
bool requests_resume(struct requests *r);

/* The next requests_read() has this entry in the table already; TABLE_NONE: none. */
void requests_replay(struct requests *r, uint32_t read);

/* The connection ends: frees pending requests without an answer, closes all files. */
void requests_abandon(struct requests *r);

struct table *requests_table(struct requests *r);

#endif
