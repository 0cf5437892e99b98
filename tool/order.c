/* SPDX-License-Identifier: MIT */
/* Orders of one word: whether HAProxy shall send clients here, and to wipe what is there. */
#include "tool/ask.h"
#include "tool/tool.h"

static enum exit_code
order(const struct tool_options *options, const char *command)
{
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	code = ask(&c, command, NULL, NULL);
	ctl_close(&c);
	return code;
}

enum exit_code
tool_drain(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Drain");
}

enum exit_code
tool_resume(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Resume");
}

enum exit_code
tool_wipe(const struct tool_options *options, char **words)
{
	(void)words;
	return order(options, "Wipe");
}
