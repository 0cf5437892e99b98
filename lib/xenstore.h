/* SPDX-License-Identifier: MIT */
/*
 * A client of Xen's xenstore, over the device that the kernel has for it: docs/misc/xenstore.txt
 * and xen/include/public/io/xs_wire.h of Xen. Paths that do not begin with / are the domain's own,
 * below /local/domain/ITS-NUMBER. Each call waits for its answer, a second at most: the store is a
 * table in memory, of this machine or its host.
 */
#ifndef LIB_XENSTORE_H
#define LIB_XENSTORE_H

#include <stddef.h>

#define XENSTORE_PAYLOAD_MAX 4096 /* bytes of one request or answer */
#define XENSTORE_PATH_MAX 256

/* The fd of a connection, to be closed by close(2); or -errno, -ENOENT: there is no Xen here. */
int xenstore_open(void);

/*
 * The value at `path`, without a NUL of its own; one is put behind it, for text. Returns how many
 * bytes it has, or -errno: of the store (-ENOENT, -EACCES, ...), -ENOBUFS for one that does not fit
 * into `cap`, -ETIMEDOUT, or -EPROTO.
 */
int xenstore_read(int fd, const char *path, char *ret, size_t cap);

/* The names below `path`, each with its NUL. Returns how many bytes they have, or -errno. */
int xenstore_list(int fd, const char *path, char *ret, size_t cap);

/*
 * The number, at most `max`, of the entry of `folder` whose `name` has this value, as domains and
 * consoles have it, or of a number itself; or -errno: -ESRCH, there is none.
 */
int xenstore_find(int fd, const char *folder, unsigned max, const char *name);

/* 0 or -errno: -E2BIG when path and value together are more than a request can have. */
int xenstore_write(int fd, const char *path, const void *value, size_t len);

/*
 * From now on `fd` is readable after each change at `path`, and once now; the next call that reads
 * an answer discards the news. 0 or -errno.
 */
int xenstore_watch(int fd, const char *path);

/* 0 or -errno. -ENOENT: it was not there. */
int xenstore_remove(int fd, const char *path);

/* The guest `domain` may read, write and remove a value of the host, and no other guest may. */
int xenstore_share(int fd, const char *path, unsigned domain);

#endif
