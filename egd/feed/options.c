/* SPDX-License-Identifier: MIT */
#include "egd/feed/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "egd/egd_wire.h"
#include "lib/num.h"
#include "lib/priv/random.h"
#include "lib/version.h"

#define BYTES_DEFAULT 64 /* 448 bits of credit: one feed makes any kernel's generator ready */
#define INTERVAL_DEFAULT_MS 60000 /* a generator that is ready reseeds itself as often */
#define TIMEOUT_DEFAULT_MS 30000  /* a busy server answers in turn */
#define TIME_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define CREDIT_DEFAULT 7

enum kind { ADDRESS, TEXT, NUMBER, TIME, FLAG, MODE, PRINT };

#define FIELD(name) offsetof(struct options, name)

static const struct spec {
	const char *name, *value; /* NULL: no value; in brackets: it may be left out */
	enum kind kind;
	size_t field;      /* in struct options */
	unsigned min, max; /* of a number; min: the mode, or the letter of PRINT */
	const char *help;
} specs[] = {
	{"from", "ADDRESS", ADDRESS, 0, 0, 0,
	 "EGD server at unix:PATH, vsock:CID:PORT, xen, tty:PATH,\n"
	 "                         tls:HOST:PORT or tcp:HOST:PORT; the next --from is asked\n"
	 "                         when it fails"},
	{"bytes", "N", NUMBER, FIELD(bytes), 16, EGD_LEN_MAX,
	 "bytes of one feed, 16 to 255; default 64"},
	{"interval", "TIME", TIME, FIELD(interval_ms), 0, 0, "between two feeds; default 60s"},
	{"timeout", "TIME", TIME, FIELD(timeout_ms), 0, 0, "of each server; default 30s"},
	{"credit", "BITS", NUMBER, FIELD(credit), 0, PRIV_RANDOM_CREDIT_MAX,
	 "per byte of a trusted server, 0 to 8; default 7"},
	{"trusted", NULL, FLAG, FIELD(trusted), 0, 0,
	 "trust servers over tcp: too, because the link is private"},
	{"psk", "FILE", TEXT, FIELD(psk), 0, 0, "pre-shared key for tls:"},
	{"identity", "NAME", TEXT, FIELD(identity), 0, 0,
	 "its line in that file; default: the first"},
	{"ca", "FILE", TEXT, FIELD(ca), 0, 0, "root certificates for tls:"},
	{"cert", "FILE", TEXT, FIELD(cert), 0, 0, "own certificate"},
	{"key", "FILE", TEXT, FIELD(key), 0, 0, "its key"},
	{"textfile", "PATH", TEXT, FIELD(textfile), 0, 0,
	 "write figures there, for node_exporter and --status"},
	{"once", NULL, MODE, 0, MODE_ONCE, 0, "feed once, then exit"},
	{"check", NULL, MODE, 0, MODE_CHECK, 0, "test whether a server answers; feed nothing"},
	{"wait-seeded", "[=TIME]", MODE, FIELD(patience_ms), MODE_WAIT_SEEDED, 0,
	 "wait until the kernel's generator is ready"},
	{"xenstore-seed", NULL, MODE, 0, MODE_XEN_SEED, 0,
	 "feed the seed that a Xen host has left for this guest"},
	{"status", NULL, MODE, 0, MODE_STATUS, 0, "print the figures of the running ekey-feed"},
	{"version", NULL, PRINT, 0, 'V', 0, "print the version (-V)"},
	{"help", NULL, PRINT, 0, 'h', 0, "print this help (-h)"},
};

#define COUNT (sizeof(specs) / sizeof(specs[0]))

static void
print_usage(void)
{
	printf("usage: ekey-feed --from ADDRESS... [option...]\n"
	       "       ekey-feed --wait-seeded[=TIME] | --xenstore-seed | --status\n");
	for (size_t i = 0; i < COUNT; i++) {
		const char *value = specs[i].value != NULL ? specs[i].value : "";
		int width = 19 - (int)strlen(specs[i].name);

		printf("  --%s%c%-*s %s\n", specs[i].name, value[0] == '[' ? '[' : ' ', width,
		       value[0] == '[' ? value + 1 : value, specs[i].help);
	}
}

/* Sets the option's field. False after a line on stderr. */
static bool
take(struct options *o, const struct spec *spec, const char *text)
{
	void *field = (char *)o + spec->field;
	uint64_t n;

	switch (spec->kind) {
	case TEXT:
		*(const char **)field = text;
		return true;
	case FLAG:
		*(bool *)field = true;
		return true;
	case ADDRESS:
		if (o->from_count < FEED_UPSTREAMS_MAX) {
			o->from[o->from_count++] = text;
			return true;
		}
		fprintf(stderr, "ekey-feed: --from %s: at most %d --from options\n", text,
			FEED_UPSTREAMS_MAX);
		return false;
	case NUMBER:
		if (num_parse(text, spec->max, &n) && n >= spec->min) {
			*(unsigned *)field = (unsigned)n;
			return true;
		}
		fprintf(stderr, "ekey-feed: --%s %s: must be %u..%u\n", spec->name, text, spec->min,
			spec->max);
		return false;
	case MODE:
		o->mode = (enum mode)spec->min;
		if (text == NULL)
			return true;
		break;
	case TIME:
	case PRINT:
		break;
	}
	if (num_parse_duration(text, TIME_MAX_MS, &n) && (n >= 1000 || spec->kind == MODE)) {
		*(uint64_t *)field = n;
		return true;
	}
	fprintf(stderr, "ekey-feed: --%s %s: expected a time such as 60s, 1s to 24h\n", spec->name,
		text);
	return false;
}

static bool
is_complete(const struct options *o, const char *word)
{
	bool needs_server = o->mode == MODE_FEED || o->mode == MODE_ONCE || o->mode == MODE_CHECK;

	if (word != NULL)
		fprintf(stderr, "ekey-feed: unexpected word '%s'\n", word);
	else if (o->from_count == 0 && needs_server)
		fprintf(stderr, "ekey-feed: expected --from ADDRESS\n");
	else
		return true;
	return false;
}

static void
list_options(struct option ret[static COUNT + 1])
{
	for (size_t i = 0; i < COUNT; i++) {
		const char *value = specs[i].value;

		ret[i] = (struct option){.name = specs[i].name,
					 .has_arg = value == NULL     ? no_argument
						    : value[0] == '[' ? optional_argument
								      : required_argument,
					 .val = specs[i].kind == PRINT ? (int)specs[i].min : 1};
	}
	ret[COUNT] = (struct option){.name = NULL};
}

bool
options_parse(int argc, char **argv, struct options *ret, int *ret_exit)
{
	struct options o = {.bytes = BYTES_DEFAULT,
			    .interval_ms = INTERVAL_DEFAULT_MS,
			    .timeout_ms = TIMEOUT_DEFAULT_MS,
			    .patience_ms = UINT64_MAX,
			    .credit = CREDIT_DEFAULT};
	struct option options[COUNT + 1];
	bool good = true;

	list_options(options);
	*ret_exit = FEED_EXIT_OK;
	for (int option, at; good;) {
		option = getopt_long(argc, argv, "hV", options, &at);
		if (option == -1)
			break;
		if (option == 'h')
			return print_usage(), false;
		if (option == 'V')
			return printf("ekey-feed %s\n", VERSION), false;
		good = option != '?' && take(&o, &specs[at], optarg);
	}
	if (!good || !is_complete(&o, argv[optind])) {
		fprintf(stderr, "ekey-feed: see ekey-feed --help\n");
		*ret_exit = FEED_EXIT_USAGE;
		return false;
	}
	*ret = o;
	return true;
}
