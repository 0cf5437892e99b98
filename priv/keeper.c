/* SPDX-License-Identifier: MIT */
#include "priv/keeper.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "priv/capability.h"
#include "priv/random.h"

#define NOBODY 65534

struct order {
	uint32_t len, bits, reseed;
	uint8_t bytes[PRIV_RANDOM_BYTES_MAX];
};

/* ---- the keeper ---- */

static int
become_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return -errno;
	return 0;
}

/* 0, or why no order can be obeyed: an answer is better than a keeper that is not there. */
static int
confine(void)
{
	int result = 0;

	(void)prctl(PR_SET_NAME, "ekey-keeper", 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (geteuid() == 0)
		result = become_nobody();
	if (result == 0)
		result = capability_keep_only(UINT64_C(1) << CAP_SYS_ADMIN);
	secret_shield(); /* changing the uid makes a process dumpable again */
	return result;
}

static int
obey(int *random, const struct order *order)
{
	int result;

	if (*random < 0)
		*random = priv_open_random();
	if (*random < 0)
		return *random;
	if (order->bits == 0)
		return priv_random_mix(*random, order->bytes, order->len);
	result = priv_random_credit(*random, order->bytes, order->len, order->bits);
	if (result == 0 && order->reseed)
		result = priv_random_reseed(*random);
	return result == -ENODATA ? 0 : result;
}

static _Noreturn void
keep(int fd)
{
	struct order order;
	int random = priv_open_random(), refusal = confine();

	while (recv(fd, &order, sizeof(order), MSG_TRUNC) == (ssize_t)sizeof(order)) {
		int32_t answer = refusal < 0 ? refusal : obey(&random, &order);

		secret_wipe(&order, sizeof(order));
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) != (ssize_t)sizeof(answer))
			break;
	}
	_exit(0);
}

/* It ends with who started it, and not before: a signal to the whole group is not for it. */
static void
ignore_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

/* ---- who orders ---- */

int
keeper_start(void)
{
	int ends[2], error;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	child = fork();
	if (child == 0) {
		ignore_signals();
		dup2(ends[1], STDIN_FILENO);
		close_range(STDIN_FILENO + 1, UINT_MAX, 0);
		keep(STDIN_FILENO);
	}
	error = errno;
	close(ends[1]);
	if (child > 0)
		return ends[0];
	close(ends[0]);
	return -error;
}

int
keeper_feed(int fd, const uint8_t *bytes, size_t len, unsigned bits, bool reseed)
{
	struct order order = {.len = (uint32_t)len, .bits = bits, .reseed = reseed};
	ssize_t n;

	if (len == 0 || len > sizeof(order.bytes))
		return -EINVAL;
	memcpy(order.bytes, bytes, len);
	n = send(fd, &order, sizeof(order), MSG_DONTWAIT | MSG_NOSIGNAL);
	secret_wipe(&order, sizeof(order));
	return n == (ssize_t)sizeof(order) ? 0 : -errno;
}

int
keeper_answer(int fd)
{
	int32_t answer;
	ssize_t n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(answer))
		return answer;
	return n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
}
