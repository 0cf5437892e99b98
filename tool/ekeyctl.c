/* SPDX-License-Identifier: MIT */
/* ekeyctl: asks the daemon, and does for the owner of a key what needs the owner. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "ctl/protocol.h"
#include "daemon/config.h"
#include "daemon/roles.h"
#include "tool/tool.h"
#include "tool/unit.h"

static const struct subcommand {
	const char *name;
	int words_min, words_max;
	tool_run *run;
	const char *form, *help;
} subcommands[] = {
	{"status", 0, 0, tool_status, "status", "sources, pool and devices: state and counters"},
	{"doctor", 0, 0, tool_doctor, "doctor", "what does not work, and what to do"},
	{"unit", 0, 1, tool_unit, "unit [ekey-feed]", "print the drop-in that the service needs"},
	{"wait-seeded", 0, 0, tool_wait_seeded, "wait-seeded",
	 "until the first healthy byte is there"},
	{"rekey", 1, 1, tool_rekey, "rekey SERIAL", "make a new long-term key, with the card"},
	{"keyring", 0, 0, tool_keyring, "keyring", "serial numbers that have a long-term key"},
	{"drain", 0, 0, tool_drain, "drain", "tell HAProxy to send no new clients here"},
	{"resume", 0, 0, tool_resume, "resume", "tell HAProxy to send new clients here again"},
	{"wipe", 0, 0, tool_wipe, "wipe", "discard all buffered bytes and restart the sources"},
	{"xen-seed", 1, 1, tool_xen_seed, "xen-seed DOMAIN",
	 "a seed for a guest of Xen, before it runs"},
	{"import-ekeyd", 0, 8, tool_import_ekeyd, "import-ekeyd [FILE...]",
	 "ekeyd's configuration in our words"},
	{"hwreport", 0, 1, tool_hwreport, "hwreport [SERIAL]", "what a key is and does, to send"},
};

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

static void
print_usage(void)
{
	printf("usage: ekeyctl [option...] COMMAND\n"
	       "  -s, --socket PATH   the daemon's; default " CTL_SOCKET_PATH "\n"
	       "  -k, --keyring PATH  default: the daemon's, else " TOOL_KEYRING_PATH "\n"
	       "  -d, --device WHERE  rekey and hwreport without the daemon: usb, usb:SERIAL,\n"
	       "                      or the key's tty or Unix socket\n"
	       "  -t, --timeout TIME  of wait-seeded, such as 60s; default: none\n"
	       "                      of hwreport --device: how long it listens; default: 60s\n"
	       "  -c, --config FILE   of unit and doctor; default " CONFIG_PATH "\n"
	       "  -V, --version\n  -h, --help\n"
	       "commands:\n");
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		printf("  %-22s %s\n", subcommands[i].form, subcommands[i].help);
	printf("the drop-in goes where systemd finds it:\n  " UNIT_CURE "\n");
}

static const struct subcommand *
find_subcommand(const char *name)
{
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

/* The cure, behind what is wrong. */
static enum exit_code
see_help(void)
{
	fprintf(stderr, "ekeyctl: see ekeyctl --help\n");
	return EXIT_USAGE;
}

static enum exit_code
run_subcommand(const struct tool_options *options, int count, char **words)
{
	const struct subcommand *subcommand = count > 0 ? find_subcommand(words[0]) : NULL;

	if (count < 1) {
		fprintf(stderr, "ekeyctl: a command is needed\n");
		return see_help();
	}
	if (subcommand == NULL) {
		fprintf(stderr, "ekeyctl: unknown command '%s'\n", words[0]);
		return see_help();
	}
	if (count - 1 > subcommand->words_max)
		fprintf(stderr, "ekeyctl: %s: unexpected word '%s'\n", words[0],
			words[1 + subcommand->words_max]);
	else if (count - 1 < subcommand->words_min)
		fprintf(stderr, "ekeyctl: %s: a word is missing\n", words[0]);
	else
		return subcommand->run(options, words + 1);
	fprintf(stderr, "usage: ekeyctl %s\n", subcommand->form);
	return EXIT_USAGE;
}

/* What was shown counts when it is written. */
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
	struct tool_options told = {.socket = CTL_SOCKET_PATH};

	helper_main(roles, argv);
	secret_shield();
	signal(SIGPIPE, SIG_IGN);      /* a key or a reader that went must not end it half-way */
	log_set_level(LOG_LEVEL_WARN); /* of what it shares with the daemon */
	for (int option; (option = getopt_long(argc, argv, "s:k:d:t:c:Vh", options, NULL)) != -1;) {
		switch (option) {
		case 's':
			told.socket = optarg;
			break;
		case 'k':
			told.keyring = optarg;
			break;
		case 'd':
			told.device = optarg;
			break;
		case 't':
			told.timeout = optarg;
			break;
		case 'c':
			told.config = optarg;
			break;
		case 'V':
			printf("ekeyctl %s\n", VERSION);
			return end(EXIT_OK);
		case 'h':
			print_usage();
			return end(EXIT_OK);
		default:
			return (int)see_help();
		}
	}
	return end(run_subcommand(&told, argc - optind, argv + optind));
}
