/* SPDX-License-Identifier: MIT */
/*
 * A seed that the host leaves for a guest of Xen in xenstore before the guest's first instruction:
 * the only entropy that is there when an initramfs asks for it. It is hexadecimal text, for guests
 * that have a shell and no program of ours; QubesOS gives its guests a seed in the same way.
 */
#ifndef LIB_XEN_SEED_H
#define LIB_XEN_SEED_H

#include <stdint.h>

#define XEN_SEED_LEN 512 /* bytes: more than any generator's state */
#define XEN_SEED_TEXT_LEN (2 * XEN_SEED_LEN)
#define XEN_SEED_PATH "data/ekey-seed" /* of the guest */

/*
 * In the host: for the guest whose number is `domain`, which alone may read it, and remove it. 0 or
 * -errno: -EACCES, this is not the host.
 */
int xen_seed_put(int store, unsigned domain, const uint8_t seed[static XEN_SEED_LEN]);

/*
 * In the guest: a connection that is readable when there may be one, or -errno. Then
 * xen_seed_is_there() returns 1, 0, or -errno, after which the connection is of no use.
 */
int xen_seed_watch(void);
int xen_seed_is_there(int store);

/*
 * In the guest: removes it before it returns it, so that no program gets it twice. 0 or -errno:
 * -ENOENT, there is none (yet); -EBADMSG, it was no seed.
 */
int xen_seed_take(int store, uint8_t ret[static XEN_SEED_LEN]);

/* The number of the guest with this name, or of a number itself. -errno: -ESRCH, there is none. */
int xen_seed_domain(int store, const char *name);

#endif
