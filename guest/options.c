/* SPDX-License-Identifier: MIT */
#include "guest/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/version.h"
#include "egd/egd_wire.h"
#include "guest/exit.h"
#include "priv/random.h"

#define BYTES_MIN 16
#define BYTES_DEFAULT 64 /* 448 bits of credit: one feed makes any kernel's generator ready */
#define INTERVAL_MIN_MS 1000
#define INTERVAL_DEFAULT_MS 60000 /* a generator that is ready reseeds itself as often */
#define TIMEOUT_DEFAULT_MS 30000  /* a busy server lets us wait our turn */
#define TIME_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define CREDIT_DEFAULT 7

static void
print_usage(void)
{
	printf("usage: ekey-feed --from ADDRESS... [option...]\n"
	       "  --from ADDRESS      unix:PATH, vsock:CID:PORT, xen, tty:PATH, tls:HOST:PORT or\n"
	       "                      tcp:HOST:PORT of an EGD server; the next is for when one "
	       "fails\n"
	       "  --once              feed once, then end\n"
	       "  --check             feed nothing: does a server answer?\n"
	       "  --bytes N           of one feed, 16 to 255; default 64\n"
	       "  --interval TIME     between two feeds; default 60s\n"
	       "  --timeout TIME      of one upstream's answer; default 30s\n"
	       "  --credit BITS       per byte of an upstream that is trusted; default 7\n"
	       "  --trusted           plain TCP is: the link to the server is private\n"
	       "  --psk FILE --identity NAME          TLS by a pre-shared key\n"
	       "  --ca FILE [--cert FILE --key FILE]  TLS by certificates\n"
	       "  --textfile PATH     write figures there, for node_exporter and --status\n"
	       "or:    ekey-feed --wait-seeded[=TIME]   until the kernel's generator is ready\n"
	       "or:    ekey-feed --xenstore-seed        feed what a Xen host left for this guest\n"
	       "or:    ekey-feed --status [--textfile PATH]\n"
	       "or:    ekey-feed -V, --version, -h, --help\n");
}

enum {
	OPT_FROM = 1,
	OPT_ONCE,
	OPT_CHECK,
	OPT_BYTES,
	OPT_INTERVAL,
	OPT_TIMEOUT,
	OPT_CREDIT,
	OPT_TRUSTED,
	OPT_PSK,
	OPT_IDENTITY,
	OPT_CA,
	OPT_CERT,
	OPT_KEY,
	OPT_TEXTFILE,
	OPT_WAIT_SEEDED,
	OPT_XENSTORE_SEED,
	OPT_STATUS,
	OPT_VERSION = 'V',
	OPT_HELP = 'h',
};

static const struct option long_options[] = {
	{"from", required_argument, NULL, OPT_FROM},
	{"once", no_argument, NULL, OPT_ONCE},
	{"check", no_argument, NULL, OPT_CHECK},
	{"bytes", required_argument, NULL, OPT_BYTES},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"credit", required_argument, NULL, OPT_CREDIT},
	{"trusted", no_argument, NULL, OPT_TRUSTED},
	{"psk", required_argument, NULL, OPT_PSK},
	{"identity", required_argument, NULL, OPT_IDENTITY},
	{"ca", required_argument, NULL, OPT_CA},
	{"cert", required_argument, NULL, OPT_CERT},
	{"key", required_argument, NULL, OPT_KEY},
	{"textfile", required_argument, NULL, OPT_TEXTFILE},
	{"wait-seeded", optional_argument, NULL, OPT_WAIT_SEEDED},
	{"xenstore-seed", no_argument, NULL, OPT_XENSTORE_SEED},
	{"status", no_argument, NULL, OPT_STATUS},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

/* ---- values: NULL, or what would be right ---- */

static const char *
number_between(const char *text, uint64_t min, uint64_t max, uint64_t *ret, const char *wanted)
{
	uint64_t n;

	if (!num_parse(text, max, &n) || n < min)
		return wanted;
	*ret = n;
	return NULL;
}

static const char *
time_from(const char *text, uint64_t min_ms, uint64_t *ret_ms)
{
	uint64_t ms;

	if (!num_parse_duration(text, TIME_MAX_MS, &ms) || ms < min_ms)
		return "a time such as 60s is needed, 1s to 24h";
	*ret_ms = ms;
	return NULL;
}

static const char *
take_from(struct options *o, const char *text)
{
	if (o->from_count == FEED_UPSTREAMS_MAX)
		return "eight upstreams are enough";
	o->from[o->from_count++] = text;
	return NULL;
}

static const char *
take_number(struct options *o, int option, const char *text)
{
	uint64_t n = 0;
	const char *error;

	if (option == OPT_BYTES) {
		error = number_between(text, BYTES_MIN, EGD_LEN_MAX, &n,
				       "16 to 255 bytes are needed");
		o->bytes = (size_t)n;
	} else {
		error = number_between(text, 0, PRIV_RANDOM_CREDIT_MAX, &n,
				       "0 to 8 bits are possible");
		o->credit = (unsigned)n;
	}
	return error;
}

static const char *
take_wait(struct options *o, const char *text)
{
	o->mode = MODE_WAIT_SEEDED;
	return text != NULL ? time_from(text, 0, &o->patience_ms) : NULL;
}

static const char *
take_word(struct options *o, int option, const char *text)
{
	switch (option) {
	case OPT_PSK:
		o->psk = text;
		break;
	case OPT_IDENTITY:
		o->identity = text;
		break;
	case OPT_CA:
		o->ca = text;
		break;
	case OPT_CERT:
		o->cert = text;
		break;
	case OPT_KEY:
		o->key = text;
		break;
	case OPT_TEXTFILE:
		o->textfile = text;
		break;
	}
	return NULL;
}

static const char *
take(struct options *o, int option, const char *text)
{
	switch (option) {
	case OPT_FROM:
		return take_from(o, text);
	case OPT_BYTES:
	case OPT_CREDIT:
		return take_number(o, option, text);
	case OPT_INTERVAL:
		return time_from(text, INTERVAL_MIN_MS, &o->interval_ms);
	case OPT_TIMEOUT:
		return time_from(text, INTERVAL_MIN_MS, &o->timeout_ms);
	case OPT_WAIT_SEEDED:
		return take_wait(o, text);
	case OPT_ONCE:
		o->mode = MODE_ONCE;
		return NULL;
	case OPT_CHECK:
		o->mode = MODE_CHECK;
		return NULL;
	case OPT_XENSTORE_SEED:
		o->mode = MODE_XEN_SEED;
		return NULL;
	case OPT_STATUS:
		o->mode = MODE_STATUS;
		return NULL;
	case OPT_TRUSTED:
		o->trusted = true;
		return NULL;
	default:
		return take_word(o, option, text);
	}
}

/* ---- the line ---- */

static bool
refuse(int *ret_exit)
{
	fprintf(stderr, "ekey-feed: see ekey-feed --help\n");
	*ret_exit = FEED_EXIT_USAGE;
	return false;
}

static bool
needs_upstreams(enum mode mode)
{
	return mode != MODE_WAIT_SEEDED && mode != MODE_STATUS && mode != MODE_XEN_SEED;
}

static bool
is_complete(const struct options *o, const char *word)
{
	if (word != NULL)
		fprintf(stderr, "ekey-feed: unexpected word '%s'\n", word);
	else if (o->from_count == 0 && needs_upstreams(o->mode))
		fprintf(stderr, "ekey-feed: --from ADDRESS is needed\n");
	else
		return true;
	return false;
}

bool
options_parse(int argc, char **argv, struct options *ret, int *ret_exit)
{
	struct options o = {.bytes = BYTES_DEFAULT,
			    .interval_ms = INTERVAL_DEFAULT_MS,
			    .timeout_ms = TIMEOUT_DEFAULT_MS,
			    .patience_ms = UINT64_MAX,
			    .credit = CREDIT_DEFAULT};

	for (int option, at; (option = getopt_long(argc, argv, "hV", long_options, &at)) != -1;) {
		const char *error;

		*ret_exit = FEED_EXIT_OK;
		if (option == OPT_HELP)
			return print_usage(), false;
		if (option == OPT_VERSION)
			return printf("ekey-feed %s\n", VERSION), false;
		if (option == '?')
			return refuse(ret_exit);
		error = take(&o, option, optarg);
		if (error == NULL)
			continue;
		fprintf(stderr, "ekey-feed: --%s %s: %s\n", long_options[at].name, optarg, error);
		return refuse(ret_exit);
	}
	if (!is_complete(&o, argv[optind]))
		return refuse(ret_exit);
	*ret = o;
	return true;
}
