/* SPDX-License-Identifier: MIT */
/*
 * Any number of open files as two: a pair of sockets, and the files in the queue between them. What
 * can keep or hand on a few fds, as a service manager's store does, keeps thousands so.
 */
#ifndef PRIV_PARCEL_H
#define PRIV_PARCEL_H

#include <stdbool.h>

#define PARCEL_BATCH 253 /* files of one message: SCM_MAX_FD */

struct parcel {
	int in, out; /* the two fds; both must be kept, or the queue goes */
	bool cut;    /* some did not come: nobody knows whose the rest would be */
	unsigned count;
	int batch[PARCEL_BATCH]; /* that are not in the queue yet, or were taken off it */
};

/* 0, or -errno with nothing open. */
int parcel_new(struct parcel *p);

/* Puts a copy of `fd` in. 0, or -errno: it may only be taken from now on. */
int parcel_put(struct parcel *p, int fd);

/* The last of them are in. */
int parcel_seal(struct parcel *p);

/* Those who have both fds go on with them. */
void parcel_resume(struct parcel *p, int in, int out);

/*
 * The next, in the order in which they were put, close-on-exec; -1: that was all, or all that can
 * be open at once.
 */
int parcel_take(struct parcel *p);

/* Closes both, and what nobody has taken. */
void parcel_close(struct parcel *p);

#endif
