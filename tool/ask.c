/* SPDX-License-Identifier: MIT */
#include "tool/ask.h"

#include <errno.h>
#include <string.h>

enum exit_code
ask_open(struct ctl_connection *c, const char *socket_path)
{
	int result = ctl_open(c, socket_path);

	if (result == 0)
		return EXIT_OK;
	if (result == -EPROTO) {
		fprintf(stderr,
			"ekeyctl: %s: no greeting; is this ekey-randomd's socket? If so it hangs,"
			" or refused us: its log says why\n",
			socket_path);
		return EXIT_CANNOT_CONNECT;
	}
	fprintf(stderr, "ekeyctl: %s: %s; %s\n", socket_path, strerror(-result),
		result == -EACCES ? "only root may ask, unless control-mode is wider"
				  : "is ekey-randomd running?");
	return result == -ENOENT ? EXIT_NO_SOCKET : EXIT_CANNOT_CONNECT;
}

enum exit_code
ask_quietly(struct ctl_connection *c, const char *command, void (*row)(void *arg, char *row),
	    void *arg)
{
	if (ctl_send(c, command) != 0) {
		fprintf(stderr, "ekeyctl: the daemon hung up\n");
		return EXIT_CANNOT_CONNECT;
	}
	for (;;) {
		switch (ctl_next(c)) {
		case CTL_REPLY_ROW:
			if (row != NULL)
				row(arg, ctl_row(c));
			break;
		case CTL_REPLY_OK:
			return EXIT_OK;
		case CTL_REPLY_ERROR:
			return EXIT_ERROR_REPLY;
		case CTL_REPLY_ENDLESS:
			fprintf(stderr,
				"ekeyctl: the answer is longer than %d bytes: is this "
				"ekey-randomd's "
				"socket?\n",
				CTL_ANSWER_MAX);
			return EXIT_CANNOT_CONNECT;
		case CTL_REPLY_BROKEN:
			fprintf(stderr, "ekeyctl: the daemon's answer was cut off\n");
			return EXIT_CANNOT_CONNECT;
		}
	}
}

enum exit_code
ask(struct ctl_connection *c, const char *command, void (*row)(void *arg, char *row), void *arg)
{
	enum exit_code code = ask_quietly(c, command, row, arg);

	if (code == EXIT_ERROR_REPLY)
		fprintf(stderr, "ekeyctl: the daemon says: %s\n", ctl_error(c));
	return code;
}
