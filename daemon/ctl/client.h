/* SPDX-License-Identifier: MIT */
/* A client of the control socket: one command, its answer line by line. Blocking. */
#ifndef DAEMON_CTL_CLIENT_H
#define DAEMON_CTL_CLIENT_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/ctl/protocol.h"

#define CTL_CLIENT_TIMEOUT_S 3

/* For commands whose answer waits for a key: longer than all the tries of backend/ekey/rekey.h. */
#define CTL_CLIENT_PATIENCE_S 40

/* Bytes of one answer: the report of 64 keys is less than a tenth of it. */
#define CTL_ANSWER_MAX (4 << 20)

struct ctl_connection {
	FILE *stream;
	size_t received;         /* bytes of the answer */
	char line[CTL_LINE_MAX]; /* the last one, without its end */
};

enum ctl_reply {
	CTL_REPLY_ROW,     /* ctl_row() returns it; more follow */
	CTL_REPLY_OK,      /* the end */
	CTL_REPLY_ERROR,   /* the end; ctl_error() returns its text */
	CTL_REPLY_ENDLESS, /* longer than CTL_ANSWER_MAX */
	CTL_REPLY_BROKEN,  /* not of this protocol, or cut off, or no answer in time */
};

/* Connects and checks the greeting. 0 or -errno; -EPROTO: the greeting is another one. */
int ctl_open(struct ctl_connection *c, const char *path);
void ctl_close(struct ctl_connection *c);

/* Sets the time that each wait for the daemon may take, from now on. */
void ctl_set_timeout(struct ctl_connection *c, unsigned seconds);

/* Sends one command; its answer is then read with ctl_next(). 0 or -errno. */
int ctl_send(struct ctl_connection *c, const char *command);

enum ctl_reply ctl_next(struct ctl_connection *c);

/* A row behind its "*\t": fields separated by tabs, which the caller may split in place. */
char *ctl_row(struct ctl_connection *c);

/* The text behind "ERROR ". */
const char *ctl_error(const struct ctl_connection *c);

#endif
