/* SPDX-License-Identifier: MIT */
/*
 * One function for each kind of address: a connected fd (non-blocking, close-on-exec), or -errno,
 * or one of CONNECT_NO_*.
 */
#ifndef GUEST_CONNECT_H
#define GUEST_CONNECT_H

#include <stdint.h>

#include "base/address.h"

/* No errno of any system call. */
#define CONNECT_NO_HOST (-100000)    /* a name that no name server knows */
#define CONNECT_NO_XEN (-100001)     /* this is no guest of Xen */
#define CONNECT_NO_CHANNEL (-100002) /* it has not the channel */
#define CONNECT_NO_ANSWER (-100003)  /* nothing came from its other end */
#define CONNECT_NOT_EGD (-100004)    /* what came is not what an EGD server sends */
#define CONNECT_ENDED (-100005)      /* its other end closed it after the level */

/* NULL, or what is wrong with the form of what stands behind the prefix. */
const char *check_path(const char *where);
const char *check_host(const char *where);
const char *check_vsock(const char *where);
const char *check_xen(const char *where);

int connect_unix(const char *path, uint64_t end_ms);
int connect_vsock(const char *where, uint64_t end_ms);
int connect_host(const char *where, uint64_t end_ms);

/*
 * A serial or hypervisor console, made raw, or any other character device, such as a port of
 * virtio-serial; open when a server at its other end has told its level and was quiet then.
 */
int connect_tty(const char *path, uint64_t end_ms);

/* The same at the channel of a guest of Xen. */
int connect_xen(const char *where, uint64_t end_ms);

/* An error of these in words. */
const char *connect_why(int error);

/* Until `fd` can do `events` (poll(2)). 0, or -ETIMEDOUT at `end_ms`, or -errno. */
int connect_wait(int fd, short events, uint64_t end_ms);

#endif
