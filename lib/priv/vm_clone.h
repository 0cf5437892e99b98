/* SPDX-License-Identifier: MIT */
/*
 * Notices that other machines may have this machine's memory: it was cloned, or set back to a
 * snapshot, or has slept with its memory on a disk.
 *
 * Clones: the hypervisor changes the VMGENID; the kernel (5.18) mixes that into its random
 * generator and logs it. Programs get no other message: the uevent NEW_VMGENID came with 6.8 and
 * was removed. Sleep: the clock that counts sleep runs ahead of the one that does not, and a timer
 * on the time of day is cancelled. Both are noticed milliseconds after the machine runs again.
 */
#ifndef LIB_PRIV_VM_CLONE_H
#define LIB_PRIV_VM_CLONE_H

#include <stdbool.h>
#include <stdint.h>

struct vm_clone {
	int ready;         /* an epoll of log and clock */
	int log;           /* /dev/kmsg, or -errno */
	int clock;         /* cancelled when the time of day is set; or -errno */
	int64_t asleep_ms; /* since the boot */
	bool is_virtual;   /* the machine is, or may be, a virtual one */
};

/*
 * Cannot fail: vm_clone_lack() names a part that is missing. Opening the log takes CAP_SYSLOG where
 * kernel.dmesg_restrict is set; reading it later takes no capability.
 */
void vm_clone_open(struct vm_clone *c);

/* The same with `log` as the kernel's log: non-blocking, one record per read. `c` closes it. */
void vm_clone_open_log(struct vm_clone *c, int log);

/* Does nothing with a struct of zeros. */
void vm_clone_close(struct vm_clone *c);

/* Returns an fd that is readable after an event; -1: there is none. */
int vm_clone_fd(const struct vm_clone *c);

/* Returns the event since the last call, for "the machine ..."; NULL: there was none. */
const char *vm_clone_take(struct vm_clone *c);

/* Whether this is a virtual machine whose kernel logs clones. */
bool vm_clone_is_told_here(void);

/* NULL, or why a clone would not be noticed here. */
const char *vm_clone_lack(const struct vm_clone *c);

/* Logs that; only at the debug level where the machine is not virtual and cannot be cloned. */
void vm_clone_log_lack(const struct vm_clone *c);

#endif
