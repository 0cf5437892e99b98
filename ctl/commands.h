/* SPDX-License-Identifier: MIT */
/* What ekeyctl's subcommands share; those too long for ekeyctl.c have a file of their own. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/client.h"

/* ekeydctl's (PROTOCOL 6), and ours after them. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_UNKNOWN_COMMAND = 2,
	EXIT_NO_SOCKET = 3,
	EXIT_ERROR_REPLY = 4,
	EXIT_CANNOT_CONNECT = 5, /* also: connected, but got no whole answer */
	EXIT_TIMED_OUT = 7,      /* wait-seeded; 6 is ekeydctl's for a missing argument */
};

/*
 * A subcommand: argv[0] is its name. Prints what it found, or on stderr what went wrong.
 */
typedef enum exit_code subcommand_fn(const char *socket_path, int argc, char **argv);

/* wait-seeded [--timeout TIME]: until the daemon's pool has had its first healthy byte. */
subcommand_fn wait_seeded;

#endif
