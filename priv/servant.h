/* SPDX-License-Identifier: MIT */
/*
 * A process of ours that keeps one privilege while those who talk to the world give up all of
 * them: nobody's user, one capability, no secrets; it obeys orders of one exact size. It lives as
 * long as the other end of its socket.
 */
#ifndef PRIV_SERVANT_H
#define PRIV_SERVANT_H

/*
 * Forks it: to be called first of all, while there are no secrets, threads and fds that it would
 * share. serve(fd, arg) runs in it and ends it by returning. Returns our end of its socket
 * (close-on-exec; a message is one order, or one answer), or -errno.
 */
int servant_start(void (*serve)(int fd, void *arg), void *arg);

/*
 * For serve(), when it has what only root can open: gives up all but `capability` (its number in
 * <linux/capability.h>), whether it has it or not. `name` is the process's, up to 15 characters. 0;
 * or why it may obey no order: an answer is better than a servant that is not there.
 */
int servant_confine(const char *name, unsigned capability);

/* For a process of ours that was started otherwise, and needs no privilege at all. */
void servant_settle(const char *name);

#endif
