/* SPDX-License-Identifier: MIT */
#include "tests/sim/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "lib/num.h"
#include "lib/version.h"
#include "tests/sim/identity.h"
#include "tests/sim/stream.h"

#define SERIAL_DEFAULT "SIMULATEDKEY0001"
#define RATE_DEFAULT 86 /* frames/s, as the device: 2.75 kB/s */
#define RATE_MAX 1000000000
#define REPLUG_MAX_MS 3600000
#define BADNESS_LETTERS "12345789AB"

static const char usage[] =
	"usage: ekey-sim --listen PORT [option...]\n"
	"A simulated Entropy Key. N is a whole number; PORT one of\n"
	"  pty:PATH              a new terminal, with a link to it\n"
	"  tty:PATH              a terminal that is there, as a USB gadget's\n"
	"  unix:PATH             a socket\n"
	"  vhci:NUMBER           a port of the kernel's virtual USB (module vhci_hcd; root)\n"
	"and options\n"
	"  --serial TEXT         16 characters (" SERIAL_DEFAULT ")\n"
	"  --ltk KEY             long-term key: 64 hex digits or 44 PEM characters\n"
	"  --master-key KEY      64 hex digits or the card's 44 characters\n"
	"  --keyring FILE        write a keyring for this key at start, mode 0600\n"
	"  --print-ltk           write \"SERIAL LTK\" on stdout at start and when it changes\n"
	"  --rate N              entropy frames a second (86); 0: as fast as they are read\n"
	"  --seed TEXT           block i is SHA-256(\"ekeysim:TEXT:E:i\"); else random\n"
	"  --first-block N       first i (0)\n"
	"  --blocks N            no entropy after N blocks\n"
	"  --quiet, --stats      say less; counters on stderr at exit (and on SIGUSR1)\n"
	"  -V, --version; -h, --help\n"
	"faults of the wire, every N frames:\n"
	"  --bad-mac-every N --drop-every N --flip-every N --garbage-every N\n"
	"  --replay-every N --duplicate-every N\n"
	"and others:\n"
	"  --split N             write at most N bytes at a time\n"
	"  --hang-after N        N frames, then silence\n"
	"  --close-after N       N frames, then unplugged and plugged in again\n"
	"  --skip-every N        leave out a sequence number every N blocks\n"
	"  --wrong-serial[=N]    another serial in the first N S frames (all)\n"
	"  --no-key-answer[=N]   no answer to the first N nonces (all)\n"
	"  --bad-key-length[=N]  a wrong nonce length in the first N answers (all)\n"
	"  --no-lt-answer[=N]    no answer to the first N changes of the long-term key (all)\n"
	"  --lt-locked[=N]       locked out in the first N of them (all)\n"
	"  --stale-frames N      N frames of the old session after each reset (at most 16)\n"
	"  --waiting-frames N    an S frame and N - 1 k frames wait when the first host comes, as "
	"of\n"
	"                        a key that was powered before (at most 1000)\n"
	"  --fail-mode X         generators fail with badness letter X, one of " BADNESS_LETTERS
	"\n"
	"  --fail-after N        blocks before they do (0)\n"
	"  --fault-seed N        draws the faults again as they were\n"
	"of the USB (vhci), every N packets to the host:\n"
	"  --usb-stall-every N --usb-eproto-every N --usb-overflow-every N\n"
	"  --usb-zero-every N --usb-short-every N\n"
	"and others:\n"
	"  --usb-nak-after N     once, after N packets, silence until the host resets it\n"
	"  --usb-dead-after N    once, after N packets, no answer at all, control requests too,\n"
	"                        until it is plugged in again\n"
	"  --usb-strict          DTR or RTS kill the firmware, until it is plugged in again\n"
	"  --unplug-after N      N bytes, then unplugged\n"
	"  --unplug-jitter N     up to N - 1 bytes more, drawn each time\n"
	"  --unplug-times N      not more often than that\n"
	"  --replug-after N      plugged in again after N milliseconds\n";

/* Value of an option that has no letter; those of the faults are FAULT_OPTION + enum fault. */
enum {
	FAULT_OPTION = 256,
	LISTEN_OPTION = FAULT_OPTION + FAULT_KINDS,
	SERIAL_OPTION,
	LTK_OPTION,
	MASTER_OPTION,
	KEYRING_OPTION,
	PRINT_OPTION,
	RATE_OPTION,
	SEED_OPTION,
	FIRST_OPTION,
	BLOCKS_OPTION,
	QUIET_OPTION,
	STATS_OPTION,
	SPLIT_OPTION,
	FAIL_MODE_OPTION,
	FAIL_AFTER_OPTION,
	FAULT_SEED_OPTION,
	STRICT_OPTION,
	JITTER_OPTION,
	TIMES_OPTION,
	REPLUG_OPTION,
	VERSION_OPTION = 'V',
	HELP_OPTION = 'h',
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, LISTEN_OPTION},
	{"serial", required_argument, NULL, SERIAL_OPTION},
	{"ltk", required_argument, NULL, LTK_OPTION},
	{"master-key", required_argument, NULL, MASTER_OPTION},
	{"keyring", required_argument, NULL, KEYRING_OPTION},
	{"print-ltk", no_argument, NULL, PRINT_OPTION},
	{"rate", required_argument, NULL, RATE_OPTION},
	{"seed", required_argument, NULL, SEED_OPTION},
	{"first-block", required_argument, NULL, FIRST_OPTION},
	{"blocks", required_argument, NULL, BLOCKS_OPTION},
	{"quiet", no_argument, NULL, QUIET_OPTION},
	{"stats", no_argument, NULL, STATS_OPTION},
	{"split", required_argument, NULL, SPLIT_OPTION},
	{"fail-mode", required_argument, NULL, FAIL_MODE_OPTION},
	{"fail-after", required_argument, NULL, FAIL_AFTER_OPTION},
	{"fault-seed", required_argument, NULL, FAULT_SEED_OPTION},
	{"bad-mac-every", required_argument, NULL, FAULT_OPTION + FAULT_BAD_MAC},
	{"drop-every", required_argument, NULL, FAULT_OPTION + FAULT_DROP},
	{"flip-every", required_argument, NULL, FAULT_OPTION + FAULT_FLIP},
	{"garbage-every", required_argument, NULL, FAULT_OPTION + FAULT_GARBAGE},
	{"replay-every", required_argument, NULL, FAULT_OPTION + FAULT_REPLAY},
	{"duplicate-every", required_argument, NULL, FAULT_OPTION + FAULT_DUPLICATE},
	{"hang-after", required_argument, NULL, FAULT_OPTION + FAULT_HANG},
	{"close-after", required_argument, NULL, FAULT_OPTION + FAULT_CLOSE},
	{"skip-every", required_argument, NULL, FAULT_OPTION + FAULT_SKIP},
	{"wrong-serial", optional_argument, NULL, FAULT_OPTION + FAULT_WRONG_SERIAL},
	{"no-key-answer", optional_argument, NULL, FAULT_OPTION + FAULT_NO_KEY_ANSWER},
	{"bad-key-length", optional_argument, NULL, FAULT_OPTION + FAULT_BAD_KEY_LENGTH},
	{"no-lt-answer", optional_argument, NULL, FAULT_OPTION + FAULT_NO_LT_ANSWER},
	{"lt-locked", optional_argument, NULL, FAULT_OPTION + FAULT_LT_LOCKED},
	{"stale-frames", required_argument, NULL, FAULT_OPTION + FAULT_STALE},
	{"waiting-frames", required_argument, NULL, FAULT_OPTION + FAULT_WAITING},
	{"usb-stall-every", required_argument, NULL, FAULT_OPTION + FAULT_USB_STALL},
	{"usb-eproto-every", required_argument, NULL, FAULT_OPTION + FAULT_USB_EPROTO},
	{"usb-overflow-every", required_argument, NULL, FAULT_OPTION + FAULT_USB_OVERFLOW},
	{"usb-zero-every", required_argument, NULL, FAULT_OPTION + FAULT_USB_ZERO},
	{"usb-short-every", required_argument, NULL, FAULT_OPTION + FAULT_USB_SHORT},
	{"usb-nak-after", required_argument, NULL, FAULT_OPTION + FAULT_USB_NAK},
	{"usb-dead-after", required_argument, NULL, FAULT_OPTION + FAULT_USB_DEAD},
	{"unplug-after", required_argument, NULL, FAULT_OPTION + FAULT_USB_UNPLUG},
	{"usb-strict", no_argument, NULL, STRICT_OPTION},
	{"unplug-jitter", required_argument, NULL, JITTER_OPTION},
	{"unplug-times", required_argument, NULL, TIMES_OPTION},
	{"replug-after", required_argument, NULL, REPLUG_OPTION},
	{"version", no_argument, NULL, VERSION_OPTION},
	{"help", no_argument, NULL, HELP_OPTION},
	{NULL, 0, NULL, 0},
};

static void
options_default(struct options *o)
{
	*o = (struct options){.split = UINT64_MAX};
	o->device.rate = RATE_DEFAULT;
	o->device.blocks_max = UINT64_MAX;
	o->device.fail_mode = INFO_BADNESS_OK;
	(void)identity_parse_serial(SERIAL_DEFAULT, o->device.identity.serial);
}

static bool
options_take_fault(struct options *o, enum fault kind, const char *arg)
{
	uint64_t max = kind == FAULT_STALE     ? FAULTS_STALE_MAX
		       : kind == FAULT_WAITING ? FAULTS_WAITING_MAX
					       : UINT64_MAX;

	if (arg != NULL)
		return num_parse(arg, max, &o->faults[kind]);
	o->faults[kind] = UINT64_MAX;
	return true;
}

static bool
options_take_number(struct options *o, int option, const char *arg)
{
	switch (option) {
	case RATE_OPTION:
		return num_parse(arg, RATE_MAX, &o->device.rate);
	case FIRST_OPTION:
		return num_parse(arg, UINT64_MAX, &o->first_block);
	case BLOCKS_OPTION:
		return num_parse(arg, UINT64_MAX, &o->device.blocks_max);
	case SPLIT_OPTION:
		return num_parse(arg, UINT64_MAX, &o->split) && o->split > 0;
	case FAIL_AFTER_OPTION:
		return num_parse(arg, UINT64_MAX, &o->device.fail_after);
	case FAULT_SEED_OPTION:
		o->have_fault_seed = true;
		return num_parse(arg, UINT64_MAX, &o->fault_seed);
	case JITTER_OPTION:
		return num_parse(arg, UINT32_MAX, &o->usb.unplug_jitter);
	case TIMES_OPTION:
		return num_parse(arg, UINT64_MAX, &o->usb.unplugs_max);
	case REPLUG_OPTION:
		o->usb.replug = true;
		return num_parse(arg, REPLUG_MAX_MS, &o->usb.replug_ms);
	default:
		return options_take_fault(o, (enum fault)(option - FAULT_OPTION), arg);
	}
}

static bool
options_take(struct options *o, int option, const char *arg)
{
	switch (option) {
	case LISTEN_OPTION:
		o->listen = arg;
		return true;
	case KEYRING_OPTION:
		o->keyring = arg;
		return true;
	case SEED_OPTION:
		o->seed = arg;
		return strlen(arg) <= STREAM_SEED_MAX;
	case SERIAL_OPTION:
		return identity_parse_serial(arg, o->device.identity.serial);
	case LTK_OPTION:
		return o->have_ltk = identity_parse_ltk(arg, o->device.identity.ltk);
	case MASTER_OPTION:
		return o->have_master = identity_parse_master(arg, o->device.identity.master);
	case FAIL_MODE_OPTION:
		o->device.fail_mode = arg[0];
		return strlen(arg) == 1 && strchr(BADNESS_LETTERS, arg[0]) != NULL;
	case QUIET_OPTION:
		return o->quiet = true;
	case STATS_OPTION:
		return o->stats = true;
	case STRICT_OPTION:
		return o->usb.strict = true;
	case PRINT_OPTION:
		return o->print_ltk = true;
	default:
		return options_take_number(o, option, arg);
	}
}

/* The cure, behind what is wrong. */
static enum options_verdict
see_help(void)
{
	fprintf(stderr, "ekey-sim: see ekey-sim --help\n");
	return OPTIONS_WRONG;
}

enum options_verdict
options_parse(int argc, char **argv, struct options *ret)
{
	int option, index = 0;

	options_default(ret);
	while ((option = getopt_long(argc, argv, "hV", long_options, &index)) != -1) {
		if (option == HELP_OPTION) {
			fputs(usage, stdout);
			return OPTIONS_TOLD;
		}
		if (option == VERSION_OPTION) {
			printf("ekey-sim %s\n", VERSION);
			return OPTIONS_TOLD;
		}
		if (option == '?')
			return see_help();
		if (!options_take(ret, option, optarg)) {
			/* Never the argument: it may be a key. */
			fprintf(stderr, "ekey-sim: --%s: not a valid value\n",
				long_options[index].name);
			return see_help();
		}
	}
	if (optind != argc)
		fprintf(stderr, "ekey-sim: unexpected word '%s'\n", argv[optind]);
	else if (ret->listen == NULL)
		fprintf(stderr, "ekey-sim: --listen PORT is needed\n");
	else
		return OPTIONS_RUN;
	return see_help();
}
