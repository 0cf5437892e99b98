/* SPDX-License-Identifier: MIT */
#include "lib/priv/mounter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/net.h"

#define SOCKET_VARIABLE "EKEY_MOUNT"

/* The one that root started; its fd is -1 where there is none. */
static struct helper started = {.fd = -1, .pidfd = -1};

/* The part of the role that its clients need. */
static const struct helper_role asked = {
	.name = MOUNTER_NAME,
	.request_size = sizeof(struct mounter_request),
	.answer_size = sizeof(struct mounter_answer),
	.timeout_s = MOUNTER_TIMEOUT_S,
};

int
mounter_start(const struct helper_role *role, const char *argument)
{
	return helper_start(&started, role, NULL, argument);
}

void
mounter_stop(void)
{
	helper_release(&started);
}

bool
mounter_is_there(void)
{
	return started.fd >= 0 || getenv(SOCKET_VARIABLE) != NULL;
}

bool
mounter_is_needed(int error)
{
	return (error == EACCES || error == EPERM || error == EROFS) && mounter_is_there();
}

/* 0 or -errno after a line in the log. */
static int
call(const struct mounter_request *request, struct mounter_answer *ret, int *ret_fd)
{
	struct helper connected = {.role = &asked, .fd = -1, .pidfd = -1}, *mounter = &started;
	const char *socket = getenv(SOCKET_VARIABLE);
	int result;

	if (started.fd < 0) {
		mounter = &connected;
		connected.fd = net_unix_connect_packets(socket);
	}
	if (mounter->fd < 0) {
		log_err("%s: cannot ask " MOUNTER_NAME " at %s: %s", request->path, socket,
			strerror(-mounter->fd));
		return mounter->fd;
	}
	result = helper_call(mounter, request, ret, ret_fd);
	helper_release(&connected);
	if (result < 0)
		log_err("%s: " MOUNTER_NAME " gave no answer: %s; see its log", request->path,
			strerror(-result));
	return result;
}

int
mounter_ask(enum mounter_act act, const char *path, pid_t *ret_holder)
{
	struct mounter_request request = {.act = act};
	struct mounter_answer answer = {.result = 0};
	int fd = -1;

	if (!mounter_is_there())
		return -EACCES;
	if (strlen(path) >= sizeof(request.path))
		return -ENAMETOOLONG;
	memcpy(request.path, path, strlen(path));
	if (call(&request, &answer, &fd) < 0)
		return -EACCES;
	if (ret_holder != NULL)
		*ret_holder = answer.holder;
	return fd >= 0 ? fd : answer.result;
}
