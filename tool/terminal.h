/* SPDX-License-Identifier: MIT */
/* The person at the terminal, wherever stdin and stdout go. */
#ifndef TOOL_TERMINAL_H
#define TOOL_TERMINAL_H

#include <stddef.h>

/*
 * Asks for one line that is not echoed. `ret` (secret memory) gets it with a NUL and without its
 * end. A signal finds the terminal as it was; after a stop and continue it is asked again. 0 or
 * -errno: -ENXIO no terminal, -EMSGSIZE too long, -ECANCELED nothing was typed but the end.
 */
int terminal_ask(const char *prompt, char *ret, size_t cap);

/* Writes to the terminal, or to stderr when there is none. */
void terminal_tell(const char *text, size_t len);

#endif
