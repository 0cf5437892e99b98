/* SPDX-License-Identifier: MIT */
/* Orders of one word: whether HAProxy shall send clients here, and to wipe what is there. */
#include <stdio.h>

#include "tool/ask.h"
#include "tool/tool.h"

/* Gives the order, and says what it did. */
static enum exit_code
order(const struct tool_options *options, const char *command, const char *done)
{
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	code = ask(&c, command, NULL, NULL);
	ctl_close(&c);
	if (code == EXIT_OK)
		printf("%s\n", done);
	return code;
}

enum exit_code
tool_drain(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Drain", "HAProxy is told to send no new clients here");
}

enum exit_code
tool_resume(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Resume", "HAProxy is told to send new clients here again");
}

enum exit_code
tool_wipe(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Wipe", "all buffered bytes are wiped, and the sources begin anew");
}
