/* SPDX-License-Identifier: MIT */
/*
 * The channel between a guest of Xen and its host (xen-pv-channel(7)): in the guest one of the
 * hypervisor consoles, in the host a socket of QEMU's, at both ends known by the name that the
 * guest's configuration gave it.
 */
#ifndef LIB_XEN_CHANNEL_H
#define LIB_XEN_CHANNEL_H

#define XEN_CHANNEL_NAME "org.ekey-random.egd"
#define XEN_CHANNEL_PATH_MAX 20 /* "/dev/hvcN" */

/*
 * The path of the guest's end. Which of the consoles it is depends on Xen's version, so xenstore is
 * asked. 0 or -errno: -ENOENT, there is no Xen, or -ENODEV, no such channel.
 */
int xen_channel_find(const char *name, char ret[static XEN_CHANNEL_PATH_MAX]);

/* The same of a store that is open; for tests. */
int xen_channel_find_in(int store, const char *name, char ret[static XEN_CHANNEL_PATH_MAX]);

/* What -ENOENT and -ENODEV of xen_channel_find() mean, in words; NULL for other errors. */
const char *xen_channel_error_text(int error);

#endif
