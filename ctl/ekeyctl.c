/* SPDX-License-Identifier: MIT */
/* ekeyctl: asks the daemon over its control socket. Exit codes are ekeydctl's (PROTOCOL 6). */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "ctl/client.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_UNKNOWN_COMMAND = 2,
	EXIT_NO_SOCKET = 3,
	EXIT_ERROR_REPLY = 4,
	EXIT_CANNOT_CONNECT = 5, /* also: connected, but got no whole answer */
};

#define STATUS_KEY_WIDTH 32

/* What a row is about: "source" and "k1" of "source\tk1\tstate\tkeyed". */
struct status_subject {
	char kind[CTL_LINE_MAX], name[CTL_LINE_MAX];
};

/* A heading whenever the subject changes, then one aligned line for each row. */
static void
print_status_row(char *row, struct status_subject *last)
{
	const char *kind = strsep(&row, "\t"), *name = strsep(&row, "\t");
	const char *key = strsep(&row, "\t"), *value = row;

	if (value == NULL)
		return; /* of a newer daemon: not ours to understand */
	if (strcmp(kind, last->kind) != 0 || strcmp(name, last->name) != 0) {
		printf("%s%s %s\n", last->kind[0] != '\0' ? "\n" : "", kind,
		       strcmp(name, "-") == 0 ? "" : name);
		snprintf(last->kind, sizeof(last->kind), "%s", kind);
		snprintf(last->name, sizeof(last->name), "%s", name);
	}
	printf("  %-*s %s\n", STATUS_KEY_WIDTH, key, value);
}

/* Reads the rows of one answer to its end. */
static enum exit_code
print_status(struct ctl_connection *c)
{
	struct status_subject last = {.kind = ""};

	for (;;) {
		switch (ctl_next(c)) {
		case CTL_REPLY_ROW:
			print_status_row(ctl_row(c), &last);
			break;
		case CTL_REPLY_OK:
			return EXIT_OK;
		case CTL_REPLY_ERROR:
			fprintf(stderr, "ekeyctl: the daemon says: %s\n", ctl_error(c));
			return EXIT_ERROR_REPLY;
		case CTL_REPLY_BROKEN:
			fprintf(stderr, "ekeyctl: the daemon's answer was cut off\n");
			return EXIT_CANNOT_CONNECT;
		}
	}
}

static enum exit_code
status(struct ctl_connection *c)
{
	if (ctl_send(c, "Status") != 0) {
		fprintf(stderr, "ekeyctl: the daemon hung up\n");
		return EXIT_CANNOT_CONNECT;
	}
	return print_status(c);
}

static const struct subcommand {
	const char *name;
	enum exit_code (*run)(struct ctl_connection *c);
	const char *help;
} subcommands[] = {
	{"status", status, "sources, pool and devices: state and counters"},
};

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

static void
usage(FILE *to)
{
	fprintf(to, "usage: ekeyctl [--socket PATH] COMMAND\n"
		    "  -s, --socket PATH  default " CTL_SOCKET_PATH "\n"
		    "  -V, --version\n  -h, --help\n"
		    "commands:\n");
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
}

static const struct subcommand *
find_subcommand(const char *name)
{
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

static enum exit_code
run_subcommand(const struct subcommand *subcommand, const char *socket_path)
{
	struct ctl_connection c;
	enum exit_code code;
	int result = ctl_open(&c, socket_path);

	if (result == -EPROTO) {
		fprintf(stderr,
			"ekeyctl: %s: no greeting; is this ekey-randomd's socket? If so it hangs,"
			" or refused us: its log says why\n",
			socket_path);
		return EXIT_CANNOT_CONNECT;
	}
	if (result < 0) {
		fprintf(stderr, "ekeyctl: %s: %s; %s\n", socket_path, strerror(-result),
			result == -EACCES ? "only root may ask, unless control-mode is wider"
					  : "is ekey-randomd running?");
		return result == -ENOENT ? EXIT_NO_SOCKET : EXIT_CANNOT_CONNECT;
	}
	code = subcommand->run(&c);
	ctl_close(&c);
	return code;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
						{"version", no_argument, NULL, 'V'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *socket_path = CTL_SOCKET_PATH;
	const struct subcommand *subcommand;

	for (int option; (option = getopt_long(argc, argv, "s:Vh", options, NULL)) != -1;) {
		switch (option) {
		case 's':
			socket_path = optarg;
			break;
		case 'V':
			printf("ekeyctl %s\n", VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		usage(stderr);
		return EXIT_USAGE;
	}
	subcommand = find_subcommand(argv[optind]);
	if (subcommand == NULL) {
		fprintf(stderr, "ekeyctl: unknown command '%s'\n", argv[optind]);
		return EXIT_UNKNOWN_COMMAND;
	}
	return run_subcommand(subcommand, socket_path);
}
