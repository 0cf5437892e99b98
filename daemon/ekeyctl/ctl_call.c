/* SPDX-License-Identifier: MIT */
#include "daemon/ekeyctl/ctl_call.h"

#include <errno.h>
#include <string.h>

enum exit_code
ctl_call_open(struct ctl_connection *c, const char *socket_path)
{
	int result = ctl_open(c, socket_path);

	if (result == 0)
		return EXIT_OK;
	if (result == -EPROTO)
		fprintf(stderr,
			"ekeyctl: %s: no greeting: either this is not the socket of ekey-randomd,"
			" or ekey-randomd hangs or refused this user: see its log\n",
			socket_path);
	else
		fprintf(stderr, "ekeyctl: %s: %s; %s\n", socket_path, strerror(-result),
			result == -EACCES ? "it is open to root only, unless control-mode is wider"
					  : "is ekey-randomd running?");
	return result == -ENOENT ? EXIT_NO_SOCKET : EXIT_CANNOT_CONNECT;
}

enum exit_code
ctl_call_answer(struct ctl_connection *c, ctl_call_row *row, void *arg)
{
	enum ctl_reply reply;

	while ((reply = ctl_next(c)) == CTL_REPLY_ROW)
		if (row != NULL)
			row(arg, ctl_row(c));
	if (reply == CTL_REPLY_ENDLESS)
		fprintf(stderr,
			"ekeyctl: the answer is longer than %d bytes: is this the socket of"
			" ekey-randomd?\n",
			CTL_ANSWER_MAX);
	else if (reply == CTL_REPLY_BROKEN)
		fprintf(stderr, "ekeyctl: the daemon's answer ended too early or did not come\n");
	return reply == CTL_REPLY_OK      ? EXIT_OK
	       : reply == CTL_REPLY_ERROR ? EXIT_ERROR_REPLY
					  : EXIT_CANNOT_CONNECT;
}

enum exit_code
ctl_call_quietly(struct ctl_connection *c, const char *command, ctl_call_row *row, void *arg)
{
	if (ctl_send(c, command) == 0)
		return ctl_call_answer(c, row, arg);
	fprintf(stderr, "ekeyctl: the daemon closed the connection\n");
	return EXIT_CANNOT_CONNECT;
}

enum exit_code
ctl_call(struct ctl_connection *c, const char *command, ctl_call_row *row, void *arg)
{
	enum exit_code code = ctl_call_quietly(c, command, row, arg);

	if (code == EXIT_ERROR_REPLY)
		fprintf(stderr, "ekeyctl: %s: %s\n", command, ctl_error(c));
	return code;
}

enum exit_code
ctl_call_once(const struct tool_options *options, const char *command, ctl_call_row *row, void *arg)
{
	struct ctl_connection c;
	enum exit_code code = ctl_call_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	code = ctl_call(&c, command, row, arg);
	ctl_close(&c);
	return code;
}

bool
ctl_call_cut_row(char *row, struct status_row *ret)
{
	ret->kind = strsep(&row, "\t");
	ret->name = strsep(&row, "\t");
	ret->key = strsep(&row, "\t");
	ret->value = row;
	return row != NULL;
}
