/* SPDX-License-Identifier: MIT */
#include "priv/mounter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/net.h"
#include "priv/helper.h"

#define SOCKET_VARIABLE "EKEY_MOUNT"

/* What a user of the role needs of it; the role itself reads the configuration. */
static const struct helper_role asked = {
	.name = MOUNTER_NAME,
	.request_size = sizeof(struct mounter_request),
	.answer_size = sizeof(struct mounter_answer),
	.timeout_s = MOUNTER_TIMEOUT_S,
};

bool
mounter_is_there(void)
{
	return geteuid() != 0 && getenv(SOCKET_VARIABLE) != NULL;
}

bool
mounter_is_needed(int error)
{
	return (error == EACCES || error == EROFS) && mounter_is_there();
}

int
mounter_ask(enum mounter_act act, const char *path, pid_t *ret_holder)
{
	struct helper mounter = {.role = &asked, .pidfd = -1};
	struct mounter_request request = {.act = act};
	struct mounter_answer answer = {.result = 0};
	const char *socket = getenv(SOCKET_VARIABLE);
	int fd = -1, result;

	if (!mounter_is_there())
		return -EACCES;
	if (strlen(path) >= sizeof(request.path))
		return -ENAMETOOLONG;
	memcpy(request.path, path, strlen(path));
	mounter.fd = net_unix_connect_packets(socket);
	if (mounter.fd < 0) {
		log_err("%s: cannot ask " MOUNTER_NAME " at %s: %s", path, socket,
			strerror(-mounter.fd));
		return -EACCES;
	}
	result = helper_call(&mounter, &request, &answer, &fd);
	helper_release(&mounter);
	if (result < 0) {
		log_err("%s: " MOUNTER_NAME " gave no answer: %s; its log says why", path,
			strerror(-result));
		return -EACCES;
	}
	if (ret_holder != NULL)
		*ret_holder = answer.holder;
	return fd >= 0 ? fd : answer.result;
}
