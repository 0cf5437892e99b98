/* SPDX-License-Identifier: MIT */
/* How a parent tells the daemon that it starts that it is one: by an option, on which both agree.
 */
#ifndef DAEMON_PARENT_OPTION_H
#define DAEMON_PARENT_OPTION_H

#include <stddef.h>

#define PARENT_OPTION 'K'

/*
 * What a daemon exits with whose parent is of another version: that ends too, so that whoever
 * started it starts both anew. What the service manager has stays there for them.
 */
#define PARENT_REFUSED 76

/* The argument of the option: the daemon's socket to its parent, and KEPT_VERSION. */
void parent_option_write(char *ret, size_t size, int socket);

/* The socket, or -EPROTO after a line in the log: exit with PARENT_REFUSED. */
int parent_option_read(const char *argument);

#endif
