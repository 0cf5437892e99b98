/* SPDX-License-Identifier: MIT */
/*
 * Tells that this machine is not alone with what it remembers: it was cloned, or set back to a
 * snapshot, or has slept with its memory on a disk. What it had before, others may have too.
 *
 * Clones: the hypervisor changes the VMGENID, the kernel (5.18) takes that into its random
 * generator, and says so in its log. Of what it sends to programs nothing else tells: the uevent
 * NEW_VMGENID came with 6.8 and was taken back. Sleep: the clock that counts it runs ahead of the
 * one that does not, and a timer that looks at the time of day is cancelled. The news comes when
 * the machine runs again already, milliseconds later: what was done in between was done.
 */
#ifndef PRIV_CLONED_H
#define PRIV_CLONED_H

#include <stdbool.h>
#include <stdint.h>

struct cloned {
	int ready;         /* an epoll of both */
	int log;           /* /dev/kmsg, or -errno */
	int clock;         /* cancelled when the time of day is set; or -errno */
	int64_t asleep_ms; /* since the boot */
	bool is_virtual;   /* the machine, as far as it can be told */
};

/*
 * Never fails: cloned_lack() says what is missing. To open the log takes CAP_SYSLOG, where
 * kernel.dmesg_restrict is set; to read it later takes nothing.
 */
void cloned_open(struct cloned *c);

/* The same, with the kernel's log being `log`: non-blocking, one record a read. It is `c`'s. */
void cloned_open_log(struct cloned *c, int log);

/* Of one that is all zero: nothing. */
void cloned_close(struct cloned *c);

/* Readable when there may be news; -1: never. */
int cloned_fd(const struct cloned *c);

/* What has happened since the last call, as what the machine "was" or "has"; NULL: nothing. */
const char *cloned_take(struct cloned *c);

/* Whether this is a virtual machine whose kernel tells of clones to those that may read its log. */
bool cloned_is_told_here(void);

/* NULL, or why a clone would not be noticed here. */
const char *cloned_lack(const struct cloned *c);

/* Writes that into the log: for debugging only where the machine is not virtual, and has no clones.
 */
void cloned_log_lack(const struct cloned *c);

#endif
