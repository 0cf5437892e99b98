/* SPDX-License-Identifier: MIT */
/*
 * The heir: a process that has the same table of open files as we, not a copy of it. What we open
 * it has open, what we close is closed; when we have ended, however that was, it still has
 * what we had, and hands it on.
 */
#ifndef PRIV_HEIR_H
#define PRIV_HEIR_H

#include <stdbool.h>

/*
 * Starts it: to be called while there are no secrets and no threads, for the memory is copied.
 * inherit(arg) runs in it when we have ended; then it ends too. Returns an fd that becomes readable
 * when it has ended (close-on-exec), or -errno.
 */
int heir_start(void (*inherit)(void *arg), void *arg);

/* False: it is gone. */
bool heir_lives(int heir);

#endif
