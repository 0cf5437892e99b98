/* SPDX-License-Identifier: MIT */
#include "priv/resolve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "priv/child.h"

_Static_assert(sizeof(struct priv_resolved) <= PIPE_BUF, "written in one piece");

/* Ends this process when the system's own patience, half a minute and more, is not over yet. */
static void
resolve_limit(void)
{
	sigset_t alarm_only;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	alarm(PRIV_RESOLVE_S);
}

static void
resolve_add(struct priv_resolved *resolved, const struct addrinfo *info, uint16_t port)
{
	struct address *at = &resolved->at[resolved->count];

	if (resolved->count == PRIV_RESOLVE_MAX || info->ai_addrlen > sizeof(at->in6) ||
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

/* In a copy of a process with threads; glibc keeps malloc(), which this needs, usable there. */
static void
resolve_work(void *arg, int result_fd)
{
	const struct address_host *where = arg;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct priv_resolved resolved = {0};
	struct addrinfo *list = NULL;

	resolve_limit();
	resolved.error = getaddrinfo(where->host, NULL, &hints, &list);
	for (const struct addrinfo *at = list; at != NULL; at = at->ai_next)
		resolve_add(&resolved, at, where->port);
	(void)!write(result_fd, &resolved, sizeof(resolved));
}

int
priv_resolve_start(const struct address_host *where)
{
	struct address_host copy = *where;
	int fd = priv_child_start(resolve_work, &copy, -1);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK); /* who asks too early gets no answer */
	return fd;
}

const char *
priv_resolve_result(int result_fd, struct priv_resolved *ret)
{
	ssize_t n = read(result_fd, ret, sizeof(*ret));

	close(result_fd);
	if (n != (ssize_t)sizeof(*ret) || ret->count > PRIV_RESOLVE_MAX)
		return "the name service does not answer";
	if (ret->error != 0)
		return gai_strerror(ret->error);
	return ret->count > 0 ? NULL : "the name has no address";
}
