/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/daemon.h"
#include "daemon/figures.h"
#include "daemon/roles.h"
#include "lib/log.h"
#include "lib/tls/memory.h"
#include "lib/version.h"
#include "lib/wiping_alloc.h"

#define EXIT_USAGE 2

static const char usage[] = "usage: ekey-randomd [-c FILE] [-n] [-v]\n"
			    "  -c FILE        configuration; default " CONFIG_PATH "\n"
			    "  -n             check configuration and keyring, then end\n"
			    "  -v             say more in the log\n"
			    "  --roles        print the table of processes, then end\n"
			    "  --figures      print the table of figures of the status, then end\n"
			    "  -V, --version\n"
			    "  -h, --help\n";

static const struct option long_options[] = {{"version", no_argument, NULL, 'V'},
					     {"help", no_argument, NULL, 'h'},
					     {"roles", no_argument, NULL, 'r'},
					     {"figures", no_argument, NULL, 'f'},
					     {NULL, 0, NULL, 0}};

/* The first file that is opened would take the place of a closed stderr, and get the log. */
static void
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int
check(const char *config_path)
{
	if (!daemon_check(config_path))
		return 1;
	printf("%s is good\n", config_path);
	return 0;
}

/* Names the cure of a wrong command line. */
static int
see_help(void)
{
	fprintf(stderr, "ekey-randomd: see ekey-randomd --help\n");
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	const char *config_path = CONFIG_PATH;
	int only_check = 0;

	helper_main(roles, argv);
	/* Before the first call: a library must not free its own memory with our function. */
	event_set_mem_functions(wiping_alloc, wiping_realloc, wiping_free);
	if (!crypto_wipe_memory())
		log_warn("OpenSSL's memory will not be wiped when it is freed");
	open_standard_fds();
	for (int option; (option = getopt_long(argc, argv, "c:nvVh", long_options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'n':
			only_check = 1;
			break;
		case 'v':
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case 'V':
			printf("ekey-randomd %s\n", VERSION);
			return 0;
		case 'r':
			roles_print();
			return 0;
		case 'f':
			figures_print();
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return see_help();
		}
	}
	if (optind != argc) {
		fprintf(stderr, "ekey-randomd: unexpected word '%s'\n", argv[optind]);
		return see_help();
	}
	if (only_check)
		return check(config_path);
	log_open();
	return daemon_run(config_path);
}
