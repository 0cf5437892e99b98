/* SPDX-License-Identifier: MIT */
/*
 * Work that may wait for the kernel or the network for many seconds, in a process of its own, so
 * that nobody who is served by us waits for it. That process has no file of ours, and of our secret
 * memory only zeros; it is nobody's child, and nobody has to wait for it.
 */
#ifndef PRIV_CHILD_H
#define PRIV_CHILD_H

/*
 * Runs work(arg, result_fd) on a copy of our memory, with all signals blocked, and only `keep_fd`
 * (-1: none) and `result_fd` open. What it writes there, in one write of at most PIPE_BUF bytes, is
 * read from the fd that is returned; its end means that the work ended without a word. Closing that
 * fd cancels nothing. -errno when it could not be started.
 */
int priv_child_start(void (*work)(void *arg, int result_fd), void *arg, int keep_fd);

#endif
