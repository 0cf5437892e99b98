/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/net.h"

#define ROW_START "*\t"
#define ERROR_START "ERROR "

/* Reads one line without its end; false at the end, on a timeout, or when it is too long. */
static bool
ctl_read_line(struct ctl_connection *c)
{
	char *end;

	if (fgets(c->line, sizeof(c->line), c->stream) == NULL)
		return false;
	end = strchr(c->line, '\n');
	if (end == NULL)
		return false;
	*end = '\0';
	c->received += (size_t)(end + 1 - c->line);
	return true;
}

int
ctl_open(struct ctl_connection *c, const char *path)
{
	int fd = net_unix_connect(path);

	if (fd < 0)
		return fd;
	c->received = 0;
	c->stream = fcntl(fd, F_SETFL, 0) == 0 ? fdopen(fd, "r") : NULL;
	if (c->stream == NULL) {
		int result = -errno;

		close(fd);
		return result;
	}
	ctl_set_timeout(c, CTL_CLIENT_TIMEOUT_S);
	if (!ctl_read_line(c) || strcmp(c->line, CTL_GREETING) != 0) {
		ctl_close(c);
		return -EPROTO;
	}
	return 0;
}

void
ctl_set_timeout(struct ctl_connection *c, unsigned seconds)
{
	const struct timeval limit = {.tv_sec = (time_t)seconds};

	(void)setsockopt(fileno(c->stream), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fileno(c->stream), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

void
ctl_close(struct ctl_connection *c)
{
	fclose(c->stream);
	c->stream = NULL;
}

int
ctl_send(struct ctl_connection *c, const char *command)
{
	char line[CTL_LINE_MAX];
	int len = snprintf(line, sizeof(line), "%s\n", command);

	if (len < 0 || (size_t)len >= sizeof(line))
		return -EMSGSIZE;
	/* Shorter than any socket buffer, on a fresh connection: never partly sent. */
	if (send(fileno(c->stream), line, (size_t)len, MSG_NOSIGNAL) != len)
		return -EPIPE;
	c->received = 0;
	return 0;
}

enum ctl_reply
ctl_next(struct ctl_connection *c)
{
	if (!ctl_read_line(c))
		return CTL_REPLY_BROKEN;
	if (c->received > CTL_ANSWER_MAX)
		return CTL_REPLY_ENDLESS;
	if (strncmp(c->line, ROW_START, strlen(ROW_START)) == 0)
		return CTL_REPLY_ROW;
	if (strcmp(c->line, "OK") == 0 || strncmp(c->line, "OK ", 3) == 0)
		return CTL_REPLY_OK;
	if (strncmp(c->line, ERROR_START, strlen(ERROR_START)) == 0)
		return CTL_REPLY_ERROR;
	return CTL_REPLY_BROKEN;
}

char *
ctl_row(struct ctl_connection *c)
{
	return c->line + strlen(ROW_START);
}

const char *
ctl_error(const struct ctl_connection *c)
{
	return c->line + strlen(ERROR_START);
}
