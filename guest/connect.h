/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a line. Each returns a connected fd (non-blocking, close-on-exec), or -errno, or
 * one of CONNECT_*.
 */
#ifndef GUEST_CONNECT_H
#define GUEST_CONNECT_H

#include <stdint.h>

/* Beyond the errors of system calls. */
#define CONNECT_NO_HOST (-100000)    /* no name server knows the name */
#define CONNECT_NO_XEN (-100001)     /* this is no guest of Xen */
#define CONNECT_NO_CHANNEL (-100002) /* the guest does not have the channel */
#define CONNECT_NO_ANSWER (-100003)  /* no byte came from the other end */
#define CONNECT_NOT_EGD (-100004)    /* an EGD server does not send the bytes that came */
#define CONNECT_ENDED (-100005)      /* the other end closed the connection after the level */

/*
 * Opens a serial or hypervisor console, made raw, or any other character device, such as a port of
 * virtio-serial, when a server at its other end has sent its level and was quiet then.
 */
int connect_tty(const char *path, uint64_t end_ms);

/* Opens the channel of a guest of Xen. */
int connect_xen(uint64_t end_ms);

/* Waits until `fd` is ready for `events` (poll(2)). 0, or -ETIMEDOUT at `end_ms`, or -errno. */
int connect_wait(int fd, short events, uint64_t end_ms);

#endif
