/* SPDX-License-Identifier: MIT */
/* ekeyctl: controls the daemon, and the steps that need the owner of a key. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/protocol.h"
#include "daemon/ekeyctl/tool.h"
#include "daemon/ekeyctl/unit.h"
#include "daemon/roles.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "lib/version.h"

#define TIMEOUT_MAX_MS INT_MAX /* for poll(2) */

static const struct subcommand {
	const char *name;
	int words_min, words_max;
	tool_run *run;
	const char *form, *help;
} subcommands[] = {
	{"status", 0, 0, tool_status, "status",
	 "show sources, pool and outlets with their figures"},
	{"doctor", 0, 0, tool_doctor, "doctor", "show what does not work and how to correct it"},
	{"unit", 0, 1, tool_unit, "unit [ekey-feed]", "print the drop-in that the service needs"},
	{"wait-seeded", 0, 0, tool_wait_seeded, "wait-seeded",
	 "wait for the first healthy byte in the pool"},
	{"rekey", 1, 1, tool_rekey, "rekey SERIAL",
	 "make a new long-term key, with the key's card"},
	{"keyring", 0, 0, tool_keyring, "keyring",
	 "list the serial numbers that have a long-term key"},
	{"drain", 0, 0, tool_order, "drain", "tell HAProxy to send no new clients"},
	{"resume", 0, 0, tool_order, "resume", "tell HAProxy to send new clients again"},
	{"wipe", 0, 0, tool_order, "wipe", "discard all buffered bytes and restart the sources"},
	{"xen-seed", 1, 1, tool_xen_seed, "xen-seed DOMAIN",
	 "leave a seed for a guest of Xen that is to boot"},
	{"import-ekeyd", 0, 8, tool_import_ekeyd, "import-ekeyd [FILE...]",
	 "print the configuration of ekeyd in our form"},
	{"hwreport", 0, 1, tool_hwreport, "hwreport [SERIAL]",
	 "print a report about a key, without its secrets"},
};

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

static void
print_usage(void)
{
	printf("usage: ekeyctl [option...] COMMAND\n"
	       "  -s, --socket PATH   control socket of the daemon; default " CTL_SOCKET_PATH "\n"
	       "  -k, --keyring PATH  default: the daemon's, else " TOOL_KEYRING_PATH "\n"
	       "  -d, --device WHERE  for rekey and hwreport without the daemon: usb, usb:SERIAL,\n"
	       "                      or the path of the key's tty or Unix socket\n"
	       "  -t, --timeout TIME  such as 60s; default for wait-seeded: none,\n"
	       "                      xen-seed: 30s, hwreport --device: 60s\n"
	       "  -c, --config FILE   for unit and doctor; default " CONFIG_PATH "\n"
	       "  -V, --version       print the version\n"
	       "  -h, --help          print this help\n"
	       "commands:\n");
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		printf("  %-22s %s\n", subcommands[i].form, subcommands[i].help);
	printf("to install the drop-in that ekeyctl unit prints:\n  " UNIT_CURE "\n");
}

static enum exit_code
refer_to_help(void)
{
	fprintf(stderr, "ekeyctl: see ekeyctl --help\n");
	return EXIT_USAGE;
}

static enum exit_code
run_subcommand(struct tool_options *options, int count, char **words)
{
	const struct subcommand *subcommand = subcommands, *end = subcommands + SUBCOMMAND_COUNT;

	if (count < 1) {
		fprintf(stderr, "ekeyctl: expected a command\n");
		return refer_to_help();
	}
	while (subcommand < end && strcmp(subcommand->name, words[0]) != 0)
		subcommand++;
	if (subcommand == end) {
		fprintf(stderr, "ekeyctl: unknown command '%s'\n", words[0]);
		return refer_to_help();
	}
	options->command = words[0];
	if (count - 1 > subcommand->words_max)
		fprintf(stderr, "ekeyctl: %s: unexpected word '%s'\n", words[0],
			words[1 + subcommand->words_max]);
	else if (count - 1 < subcommand->words_min)
		fprintf(stderr, "ekeyctl: %s: expected one more word\n", words[0]);
	else
		return subcommand->run(options, words + 1);
	fprintf(stderr, "usage: ekeyctl %s\n", subcommand->form);
	return EXIT_USAGE;
}

/* Flushes the output: a command has succeeded when its output is written. */
static int
end(enum exit_code code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return (int)code;
	fprintf(stderr, "ekeyctl: cannot write to standard output: %s\n", strerror(errno));
	return (int)(code == EXIT_OK ? EXIT_CANNOT_WRITE : code);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'}, {"keyring", required_argument, NULL, 'k'},
		{"device", required_argument, NULL, 'd'}, {"timeout", required_argument, NULL, 't'},
		{"config", required_argument, NULL, 'c'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
	struct tool_options given = {.socket = CTL_SOCKET_PATH, .timeout_ms = UINT64_MAX};
	const char **paths[] = {['s'] = &given.socket,
				['k'] = &given.keyring,
				['d'] = &given.device,
				['c'] = &given.config};

	helper_main(roles, argv);
	secret_shield();
	signal(SIGPIPE, SIG_IGN);      /* a key or a reader that is gone must not end a change */
	log_set_level(LOG_LEVEL_WARN); /* of code shared with the daemon */
	for (int option; (option = getopt_long(argc, argv, "s:k:d:t:c:Vh", options, NULL)) != -1;) {
		if (option == 'V' || option == 'h') {
			if (option == 'V')
				printf("ekeyctl %s\n", VERSION);
			else
				print_usage();
			return end(EXIT_OK);
		}
		if (option == '?')
			return (int)refer_to_help();
		if (option != 't') {
			*paths[option] = optarg;
		} else if (!num_parse_duration(optarg, TIMEOUT_MAX_MS, &given.timeout_ms)) {
			fprintf(stderr, "ekeyctl: --timeout %s: expected a time such as 60s\n",
				optarg);
			return (int)refer_to_help();
		}
	}
	return end(run_subcommand(&given, argc - optind, argv + optind));
}
