/* SPDX-License-Identifier: MIT */
/* Options and exit codes of the subcommands of ekeyctl. */
#ifndef DAEMON_EKEYCTL_TOOL_H
#define DAEMON_EKEYCTL_TOOL_H

#include <stdint.h>

/* 2 to 5 are those of ekeydctl (doc/protocol.md 6). Documented in ekeyctl(1). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_USAGE = 2, /* as of all our programs; of ekeydctl for an unknown command */
	EXIT_NO_SOCKET = 3,
	EXIT_ERROR_REPLY = 4,
	EXIT_CANNOT_CONNECT = 5, /* also: connected, but got no whole answer */
	EXIT_TIMED_OUT = 7,      /* wait-seeded, xen-seed */
	EXIT_REFUSED = 8,        /* by the key: wrong master key, or locked out */
	EXIT_NO_KEY = 9,         /* it is not plugged in, is another one, or does not answer */
	EXIT_MASTER_KEY = 10,    /* the typed text is none, or there is no terminal */
	EXIT_KEYRING = 11,       /* missing, or cannot be read or written: nothing was changed */
	EXIT_NOT_STORED = 12,    /* the key has a new long-term key, which was shown */
	EXIT_CANNOT_READ = 13,   /* a file of unit or import-ekeyd */
	EXIT_NO_DOMAIN = 14,     /* xen-seed: no guest has the name, or this is no host of Xen */
	EXIT_ILL = 15,           /* doctor: something does not work */
	EXIT_CANNOT_WRITE = 16,  /* standard output, as on a full disk */
};

#define TOOL_KEYRING_PATH "/etc/ekey-random/keyring"

struct tool_options {
	const char *command; /* the subcommand's name */
	const char *socket;  /* the daemon's */
	const char *keyring; /* NULL: the daemon's, or the usual one */
	const char *device;  /* NULL: through the daemon */
	const char *config;  /* NULL: the usual one */
	uint64_t timeout_ms; /* UINT64_MAX: not given */
};

/* Runs a subcommand with the words after its name, as many as its table allows; then NULL. */
typedef enum exit_code tool_run(const struct tool_options *options, char **words);
tool_run tool_status, tool_order, tool_wait_seeded, tool_rekey, tool_keyring, tool_hwreport,
	tool_import_ekeyd, tool_xen_seed, tool_doctor, tool_unit;

#endif
