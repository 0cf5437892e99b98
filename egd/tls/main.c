/* SPDX-License-Identifier: MIT */
/* ekey-tls: speaks TLS for the daemon, which has neither the keys nor libssl. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "egd/tls/service.h"
#include "lib/log.h"
#include "lib/priv/sandbox.h"
#include "lib/priv/tls_channel.h"
#include "lib/secret.h"
#include "lib/tls/memory.h"
#include "lib/version.h"
#include "lib/wiping_alloc.h"

#define EXIT_USAGE 2
#define NICE 5 /* the daemon's work comes before handshakes */

static const char usage[] = "usage: ekey-tls [--version] [--help]\n"
			    "  Speaks TLS for ekey-randomd, which starts it, or has it started by\n"
			    "  the service manager (ekey-tls.socket): not to be started by hand.\n";

static const struct option long_options[] = {
	{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

/* Returns the daemon's socket, or its connection to the service manager's; or -errno. */
static int
take_channel(void)
{
	int listening = 0, fd;
	socklen_t len = sizeof(listening);

	if (getsockopt(TLS_CHANNEL_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0)
		return -errno;
	if (!listening)
		return TLS_CHANNEL_FD;
	do
		fd = accept4(TLS_CHANNEL_FD, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : -errno;
}

/* Allows as many open files as possible: a connection has two. */
static void
take_all_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
serve(void)
{
	int channel = take_channel(), result;

	if (channel < 0) {
		fprintf(stderr, "ekey-tls: no socket of ekey-randomd (%s): see ekey-tls --help\n",
			strerror(-channel));
		return EXIT_USAGE;
	}
	log_open();
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	take_all_files();
	(void)!nice(NICE); /* under the service manager its unit has done so */
	result = capability_keep_only(CAPABILITY_NONE);
	secret_shield();
	if (result < 0) {
		log_err("cannot give up capabilities: %s", strerror(-result));
		return 1;
	}
	return service_run(channel) ? 0 : 1;
}

int
main(int argc, char **argv)
{
	/* First of all: a library must not free by ours memory that it allocated by malloc(). */
	event_set_mem_functions(wiping_alloc, wiping_realloc, wiping_free);
	if (!crypto_wipe_memory())
		log_warn("OpenSSL's memory will not be wiped when it is freed");
	for (int option; (option = getopt_long(argc, argv, "Vh", long_options, NULL)) != -1;) {
		switch (option) {
		case 'V':
			printf("ekey-tls %s\n", VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "ekey-tls: unexpected word '%s': see ekey-tls --help\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return serve();
}
