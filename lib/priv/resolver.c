/* SPDX-License-Identifier: MIT */
#include "lib/priv/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

_Static_assert(sizeof(struct resolved) <= HELPER_MESSAGE_MAX, "a message");

/* ---- the helper ---- */

static void
resolve_add(struct resolved *resolved, const struct addrinfo *info, uint16_t port)
{
	struct address *at = &resolved->at[resolved->count];

	if (resolved->count == RESOLVER_MAX || info->ai_addrlen > sizeof(at->in6) ||
	    (info->ai_family != AF_INET && info->ai_family != AF_INET6))
		return;
	at->len = info->ai_addrlen;
	memcpy(&at->any, info->ai_addr, info->ai_addrlen);
	if (info->ai_family == AF_INET)
		at->in4.sin_port = htons(port);
	else
		at->in6.sin6_port = htons(port);
	resolved->count++;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	const struct address_host *where = request;
	struct resolved *resolved = ret_answer;
	struct addrinfo *list = NULL;

	(void)fd, (void)ret_fd;
	if (memchr(where->host, '\0', sizeof(where->host)) == NULL)
		return false;
	resolved->error = prepared < 0 ? EAI_SYSTEM : getaddrinfo(where->host, NULL, &hints, &list);
	for (const struct addrinfo *at = list; at != NULL; at = at->ai_next)
		resolve_add(resolved, at, where->port);
	return true;
}

/* Modules of nsswitch.conf may make other calls too: these fail and do not end the process. */
static const struct sandbox_call calls[] = {
	{.name = "access bind connect epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2"
		 " faccessat faccessat2 fcntl fstatfs getdents64 getegid geteuid getgid getpeername"
		 " getppid getsockname getsockopt getuid lseek mmap mprotect newfstatat pread64"
		 " readlink readlinkat recvfrom recvmmsg recvmsg rt_sigaction sched_yield sendmmsg"
		 " sendmsg sendto set_robust_list setsockopt shutdown socket socketpair statfs"
		 " statx sysinfo timerfd_create timerfd_settime uname writev"},
	SANDBOX_OPEN_TO_READ,
	SANDBOX_ONLY("ioctl", 2, FIONREAD),
	{.name = NULL},
};

const struct helper_role resolver_role = {
	.name = "ekey-resolve",
	.does = "looks up a name, once",
	.capability = HELPER_NO_CAPABILITY,
	.request_size = sizeof(struct address_host),
	.answer_size = sizeof(struct resolved),
	.timeout_s = 10,
	.sandbox = {.calls = calls,
		    .refusal = SANDBOX_EPERM,
		    .files_max = 64,
		    .memory_bytes = 512U << 20},
	.act = act,
};

/* ---- its user ---- */

int
resolver_start(struct helper *ret, const struct address_host *where)
{
	return helper_begin(ret, &resolver_role, where, -1);
}

const char *
resolver_result(struct helper *helper, struct resolved *ret)
{
	if (helper_finish(helper, ret) < 0 || ret->count > RESOLVER_MAX)
		return "the name service does not answer";
	if (ret->error != 0)
		return gai_strerror(ret->error);
	return ret->count > 0 ? NULL : "the name has no address";
}
