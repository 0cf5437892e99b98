/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/utsname.h>

#include "base/version.h"
#include "tool/ask.h"

#define WORD_MAX 64 /* a serial number has 16; the daemon says what is wrong with others */

static void
print_line(void *arg, char *row)
{
	(void)arg;
	puts(row);
}

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

enum exit_code
tool_hwreport(const struct tool_options *options, char **words)
{
	char command[sizeof("HwReport ") + WORD_MAX] = "HwReport";
	struct ctl_connection c;
	enum exit_code code;

	if (words[0] != NULL)
		snprintf(command, sizeof(command), "HwReport %s", words[0]);
	code = ask_open(&c, options->socket);
	if (code != EXIT_OK)
		return code;
	print_head();
	code = ask(&c, command, print_line, NULL);
	ctl_close(&c);
	return code;
}
