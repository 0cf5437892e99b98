/* SPDX-License-Identifier: MIT */
/* ekeyctl hwreport: prints what a key is and does, by the daemon or without it. */
#include <stdio.h>
#include <sys/utsname.h>

#include "daemon/ekeyctl/ctl_call.h"
#include "daemon/ekeyctl/key_access.h"
#include "lib/version.h"

static void
print_head(void)
{
	struct utsname system;

	printf("Entropy Key hardware report. It holds no key, nonce, MAC or entropy byte.\n"
	       "ekeyctl %s\n",
	       VERSION);
	if (uname(&system) == 0)
		printf("%s %s %s\n", system.sysname, system.release, system.machine);
}

/* Prints a row of the report. A refusal has no rows, and so no head. */
static void
print_line(void *arg, char *row)
{
	bool *has_head = arg;

	if (!*has_head)
		print_head();
	*has_head = true;
	puts(row);
}

static enum exit_code
report_of_daemon(const struct tool_options *options, const char *serial)
{
	char command[sizeof("HwReport ") + KEYRING_SERIAL_TEXT_LEN];
	bool has_head = false;

	snprintf(command, sizeof(command), "HwReport%s%s", serial != NULL ? " " : "",
		 serial != NULL ? serial : "");
	return ctl_call_once(options, command, print_line, &has_head);
}

static enum exit_code
report_of_device(const struct tool_options *options, const char *serial)
{
	struct evbuffer *report = evbuffer_new();
	enum exit_code code = EXIT_NO_KEY;

	if (report == NULL)
		return code;
	code = key_access_report(options, serial, report);
	if (code == EXIT_OK) {
		print_head();
		evbuffer_add(report, "", 1);
		fputs((const char *)evbuffer_pullup(report, -1), stdout);
	}
	evbuffer_free(report);
	return code;
}

enum exit_code
tool_hwreport(const struct tool_options *options, char **words)
{
	uint8_t serial[KEYED_SERIAL_LEN];

	if (words[0] != NULL && !keyring_serial_parse(words[0], serial)) {
		fprintf(stderr, "ekeyctl: %s: %s\n", words[0], KEYRING_SERIAL_HINT);
		return EXIT_USAGE;
	}
	return options->device != NULL ? report_of_device(options, words[0])
				       : report_of_daemon(options, words[0]);
}
