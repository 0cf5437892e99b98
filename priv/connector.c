/* SPDX-License-Identifier: MIT */
#include "priv/connector.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net.h"
#include "priv/servant.h"

struct order {
	char name[CONNECTOR_NAME_MAX];
};

struct answer {
	int32_t result;
	char name[CONNECTOR_NAME_MAX];
};

/* Room for the one fd that may come with an answer, aligned. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* ---- the servant ---- */

static bool
is_allowed(const struct order *order)
{
	return memchr(order->name, '\0', sizeof(order->name)) != NULL &&
	       strncmp(order->name, CONNECTOR_PREFIX, strlen(CONNECTOR_PREFIX)) == 0 &&
	       strchr(order->name, '/') == NULL;
}

static bool
send_answer(int fd, struct answer *answer, int connection)
{
	struct iovec bytes = {.iov_base = answer, .iov_len = sizeof(*answer)};
	struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
	union control control = {0};

	if (connection >= 0) {
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &connection, sizeof(connection));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*answer);
}

static bool
obey(int fd, const struct order *order, int refusal)
{
	struct answer answer = {.result = refusal};
	int connection = -1;
	bool sent;

	if (!is_allowed(order))
		return false;
	memcpy(answer.name, order->name, sizeof(answer.name));
	if (refusal == 0) {
		connection = net_unix_connect(order->name);
		answer.result = connection < 0 ? connection : 0;
	}
	sent = send_answer(fd, &answer, connection);
	if (connection >= 0)
		close(connection);
	return sent;
}

static void
connect_for_others(int fd, void *arg)
{
	const char *directory = arg;
	int refusal = chdir(directory) == 0 ? 0 : -errno;
	int unconfined = servant_confine("ekey-connector", CAP_DAC_OVERRIDE);
	struct order order;

	if (refusal == 0)
		refusal = unconfined;
	while (recv(fd, &order, sizeof(order), MSG_TRUNC) == (ssize_t)sizeof(order) &&
	       obey(fd, &order, refusal))
		;
}

/* ---- who orders ---- */

int
connector_start(const char *directory)
{
	char *path = strdup(directory);
	int result = path == NULL ? -ENOMEM : access(path, X_OK) != 0 ? -errno : 0;

	if (result == 0)
		result = servant_start(connect_for_others, path);
	free(path);
	return result;
}

int
connector_order(int connector, const char *name)
{
	struct order order = {{0}};
	ssize_t n;

	if (strlen(name) >= sizeof(order.name))
		return -ENAMETOOLONG;
	memcpy(order.name, name, strlen(name));
	n = send(connector, &order, sizeof(order), MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == (ssize_t)sizeof(order) ? 0 : -errno;
}

/* The fd that came with a message, or -1. */
static int
fd_in(struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int
connector_answer(int connector, char ret_name[static CONNECTOR_NAME_MAX])
{
	struct answer answer;
	struct iovec bytes = {.iov_base = &answer, .iov_len = sizeof(answer)};
	union control control;
	struct msghdr message = {.msg_iov = &bytes,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(connector, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	ret_name[0] = '\0';
	if (n != (ssize_t)sizeof(answer))
		return n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
	memcpy(ret_name, answer.name, CONNECTOR_NAME_MAX);
	return answer.result < 0 ? answer.result : fd_in(&message);
}
