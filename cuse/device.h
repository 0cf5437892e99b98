/* SPDX-License-Identifier: MIT */
/*
 * One published device: reads from the pool, by CUSE, or by a FUSE mount of a single file where the
 * kernel has no CUSE. A read of an empty pool blocks, or returns EAGAIN; never another error and
 * never an end of file while the daemon lives. No process of ours may open or stat it.
 */
#ifndef CUSE_DEVICE_H
#define CUSE_DEVICE_H

#include <event2/event.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/fd_store.h"
#include "pool/pool.h"

#define DEVICE_NAME_MAX 32
#define DEVICE_PATH_MAX 256

enum device_via { DEVICE_VIA_AUTO, DEVICE_VIA_CUSE, DEVICE_VIA_FUSE };

struct device_config {
	char name[DEVICE_NAME_MAX]; /* [device NAME] */
	char path[DEVICE_PATH_MAX]; /* "/dev/ekey-random"; CUSE only below /dev */
	enum device_via via;
	mode_t mode; /* permission bits: 0444 */
};

struct device;

struct device_status {
	const char *name, *path;
	const char *via;      /* "cuse" or "fuse"; "none" while it is to be published again */
	uint64_t opens;       /* open files now */
	uint64_t interrupted; /* reads ended by a signal */
	struct pool_account account; /* of all daemons that have served it */
	bool stored;                 /* the next daemon can resume it */
};

/*
 * Publishes the device and serves it from `base`. 0 with *ret, or -errno after one line in the log
 * that names the path, the cause and the cure: another instance serves it (-EBUSY), the path is
 * taken (-EEXIST), neither CUSE nor FUSE (-ENODEV). `store` outlives it: a device that a previous
 * daemon left there is resumed, which its readers notice as a delay only.
 */
int device_start(struct event_base *base, struct pool *pool, struct fd_store *store,
		 const struct device_config *config, struct device **ret);

/* Withdraws the device [device NAME] that a previous daemon left in the store. */
void device_discard(struct fd_store *store, const char *name);

/* Withdraws the device: blocked reads end with ECONNABORTED. NULLs the pointer. */
void device_stop(struct device **device);

/* Releases the lock of its path, unless that is in the store or its mount needs it. */
void device_unlock(struct device *device);

void device_status(const struct device *device, struct device_status *ret);

#endif
