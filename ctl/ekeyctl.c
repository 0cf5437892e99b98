/* SPDX-License-Identifier: MIT */
/* ekeyctl: asks the daemon over its control socket. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "ctl/commands.h"

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

/* EXIT_OK with a connection to be closed, or a line on stderr. */
static enum exit_code
connect_daemon(struct ctl_connection *c, const char *socket_path)
{
	int result = ctl_open(c, socket_path);

	if (result == 0)
		return EXIT_OK;
	if (result == -EPROTO) {
		fprintf(stderr,
			"ekeyctl: %s: no greeting; is this ekey-randomd's socket? If so it hangs,"
			" or refused us: its log says why\n",
			socket_path);
		return EXIT_CANNOT_CONNECT;
	}
	fprintf(stderr, "ekeyctl: %s: %s; %s\n", socket_path, strerror(-result),
		result == -EACCES ? "only root may ask, unless control-mode is wider"
				  : "is ekey-randomd running?");
	return result == -ENOENT ? EXIT_NO_SOCKET : EXIT_CANNOT_CONNECT;
}

static enum exit_code
status(const char *socket_path, int argc, char **argv)
{
	struct ctl_connection c;
	enum exit_code code;

	(void)argv;
	if (argc != 1)
		return EXIT_USAGE;
	code = connect_daemon(&c, socket_path);
	if (code != EXIT_OK)
		return code;
	if (ctl_send(&c, "Status") == 0) {
		code = print_status(&c);
	} else {
		fprintf(stderr, "ekeyctl: the daemon hung up\n");
		code = EXIT_CANNOT_CONNECT;
	}
	ctl_close(&c);
	return code;
}

static const struct subcommand {
	const char *name;
	subcommand_fn *run; /* after EXIT_USAGE main() shows the usage */
	const char *help;
} subcommands[] = {
	{"status", status, "sources, pool and devices: state and counters"},
	{"wait-seeded", wait_seeded, "[--timeout TIME] until the first healthy byte is there"},
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
		fprintf(to, "  %-12s %s\n", subcommands[i].name, subcommands[i].help);
}

static const struct subcommand *
find_subcommand(const char *name)
{
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
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
	enum exit_code code;

	for (int option; (option = getopt_long(argc, argv, "+s:Vh", options, NULL)) != -1;) {
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
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	subcommand = find_subcommand(argv[optind]);
	if (subcommand == NULL) {
		fprintf(stderr, "ekeyctl: unknown command '%s'\n", argv[optind]);
		return EXIT_UNKNOWN_COMMAND;
	}
	code = subcommand->run(socket_path, argc - optind, argv + optind);
	if (code == EXIT_USAGE)
		usage(stderr);
	return code;
}
