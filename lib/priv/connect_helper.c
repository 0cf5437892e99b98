/* SPDX-License-Identifier: MIT */
#include "lib/priv/connect_helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net.h"

struct request {
	char name[CONNECT_HELPER_NAME_MAX];
};

struct answer {
	int32_t result;
	char name[CONNECT_HELPER_NAME_MAX];
};

/* ---- the helper ---- */

static int
prepare(const char *directory)
{
	return chdir(directory) == 0 ? 0 : -errno;
}

static bool
is_allowed(const struct request *request)
{
	return memchr(request->name, '\0', sizeof(request->name)) != NULL &&
	       strncmp(request->name, CONNECT_HELPER_PREFIX, strlen(CONNECT_HELPER_PREFIX)) == 0 &&
	       strchr(request->name, '/') == NULL;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	struct answer *answer = ret_answer;

	(void)fd;
	if (!is_allowed(request))
		return false;
	memcpy(answer->name, ((const struct request *)request)->name, sizeof(answer->name));
	if (prepared >= 0)
		*ret_fd = prepared = net_unix_connect(answer->name);
	answer->result = prepared < 0 ? prepared : 0;
	return true;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg sendmsg connect"},
	SANDBOX_ONLY("socket", 1, AF_UNIX),
	{.name = NULL},
};

const struct helper_role connect_helper_role = {
	.name = "ekey-connect",
	.does = "connects to the sockets ekey-* of Xen's guests in one directory",
	.capability = CAP_DAC_OVERRIDE,
	.request_size = sizeof(struct request),
	.answer_size = sizeof(struct answer),
	.timeout_s = 10,
	.sandbox = {.calls = calls, .files_max = 8, .memory_bytes = 256U << 20},
	.prepare = prepare,
	.act = act,
};

/* ---- its user ---- */

int
connect_helper_start(struct helper *ret, const char *user, const char *directory)
{
	*ret = HELPER_NONE;
	if (access(directory, X_OK) != 0)
		return -errno;
	return helper_start(ret, &connect_helper_role, user, directory);
}

int
connect_helper_request(struct helper *helper, const char *name)
{
	struct request request = {{0}};

	if (strlen(name) >= sizeof(request.name))
		return -ENAMETOOLONG;
	memcpy(request.name, name, strlen(name));
	return helper_send(helper, &request, -1);
}

int
connect_helper_answer(struct helper *helper, char ret_name[static CONNECT_HELPER_NAME_MAX])
{
	struct answer answer;
	int fd, result = helper_receive(helper, &answer, &fd);

	ret_name[0] = '\0';
	if (result < 0)
		return result;
	memcpy(ret_name, answer.name, sizeof(answer.name));
	ret_name[sizeof(answer.name) - 1] = '\0';
	return answer.result < 0 ? answer.result : fd;
}
