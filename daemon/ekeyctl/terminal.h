/* SPDX-License-Identifier: MIT */
/* The controlling terminal, independent of stdin and stdout. */
#ifndef DAEMON_EKEYCTL_TERMINAL_H
#define DAEMON_EKEYCTL_TERMINAL_H

#include <stddef.h>

/*
 * Reads one line without echo into `ret` (secret memory), with a NUL in place of its newline. The
 * terminal is restored before a signal acts; after a stop and continue the prompt comes again. 0 or
 * -errno: -ENXIO no terminal, -EMSGSIZE too long, -ECANCELED end of file.
 */
int terminal_ask(const char *prompt, char *ret, size_t cap);

/* Writes to the terminal, or to stderr when there is none. */
void terminal_tell(const char *text, size_t len);

#endif
