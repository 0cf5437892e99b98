/* SPDX-License-Identifier: MIT */
/*
 * What the daemon gives its parent to keep, so that the next daemon gets it: of each device the
 * connection to the kernel, its table and the lock of its path; of all clients of EGD a parcel of
 * their sockets (its two ends) and the ledger. One message of one exact size on a SOCK_SEQPACKET,
 * the same in both directions.
 */
#ifndef PRIV_KEPT_H
#define PRIV_KEPT_H

#include <stdint.h>

/* Of the messages: a daemon whose parent has another one does not speak to it
 * (daemon/parent_option.h). */
#ifndef KEPT_VERSION /* a test builds another */
#define KEPT_VERSION 1
#endif

#define KEPT_PATH_MAX 256 /* bytes with the NUL */
#define KEPT_MAX 24       /* devices, 16 of them, and parcels */

/* In place of a device's path, with the pid of whose clients they were: no device has such one. */
#define KEPT_CLIENTS "//clients/"

enum kept_what { KEPT_CARRIER, KEPT_TABLE, KEPT_LOCK, KEPT_FDS };

struct kept {
	char path[KEPT_PATH_MAX]; /* of the device, or KEPT_CLIENTS */
	int fds[KEPT_FDS];        /* -1: none */
};

enum kept_act {
	KEPT_KEEP,   /* from the daemon: keep this; from the parent: this was kept */
	KEPT_FORGET, /* close what there is of this path */
	KEPT_READY,  /* the daemon serves all that it shall */
	KEPT_END,    /* from the parent: that was all */
};

/* How what was kept will be handed on: the answer to KEPT_KEEP. */
enum kept_by { KEPT_BY_NOBODY, KEPT_BY_PARENT, KEPT_BY_MANAGER };

/* Sends copies of `k`'s fds (k may be NULL: none, no path). 0 or -errno; does not wait. */
int kept_send(int socket, enum kept_act act, const struct kept *k);

/*
 * Waits for the next one. 0 with the caller's own fds (close-on-exec) in *ret; -EPIPE: nobody is
 * there any more; -EPROTO: it was not one; or -errno.
 */
int kept_receive(int socket, enum kept_act *ret_act, struct kept *ret);

/* Every message from the daemon is answered once. The wait ends with -ETIMEDOUT, or -errno. */
int kept_answer(int socket, int32_t answer);
int kept_await(int socket, int timeout_ms);

/* Closes the fds. */
void kept_close(struct kept *k);

#endif
