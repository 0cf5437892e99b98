/* SPDX-License-Identifier: MIT */
/* Notices that a tty or socket has hung up while nobody reads from it. */
#ifndef BACKEND_HANGUP_H
#define BACKEND_HANGUP_H

/*
 * An fd that is readable once `fd` has hung up, or its other side sends no more; or -1. Close it
 * before `fd`. (libevent cannot wait for a hang-up alone: it would turn a tty's into "readable",
 * which nobody waits for, and spin.)
 */
int hangup_watch(int fd);

#endif
