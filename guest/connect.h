/* SPDX-License-Identifier: MIT */
/* One function for each kind of address: a connected fd (non-blocking, close-on-exec), or -errno.
 */
#ifndef GUEST_CONNECT_H
#define GUEST_CONNECT_H

#include <stdint.h>

#include "base/address.h"

/* NULL, or what is wrong with the form of what stands behind the prefix. */
const char *check_path(const char *where);
const char *check_host(const char *where);
const char *check_vsock(const char *where);

int connect_unix(const char *path, uint64_t end_ms);
int connect_vsock(const char *where, uint64_t end_ms);
int connect_host(const char *where, uint64_t end_ms);

/*
 * A serial or hypervisor console, made raw, or any other character device, such as a port of
 * virtio-serial. What came before we ask is thrown away: it was the answer to somebody's question
 * who has given up, perhaps us.
 */
int connect_tty(const char *path, uint64_t end_ms);

/* An error of these in words. */
const char *connect_why(int error);

/* Until `fd` can do `events` (poll(2)). 0, or -ETIMEDOUT at `end_ms`, or -errno. */
int connect_wait(int fd, short events, uint64_t end_ms);

#endif
