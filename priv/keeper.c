/* SPDX-License-Identifier: MIT */
#include "priv/keeper.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "priv/random.h"
#include "priv/servant.h"

struct order {
	uint32_t len, bits, reseed;
	uint8_t bytes[PRIV_RANDOM_BYTES_MAX];
};

/* ---- the keeper ---- */

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

static void
keep(int fd, void *arg)
{
	struct order order;
	int random = priv_open_random(), refusal = servant_confine("ekey-keeper", CAP_SYS_ADMIN);

	(void)arg;
	while (recv(fd, &order, sizeof(order), MSG_TRUNC) == (ssize_t)sizeof(order)) {
		int32_t answer = refusal < 0 ? refusal : obey(&random, &order);

		secret_wipe(&order, sizeof(order));
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) != (ssize_t)sizeof(answer))
			break;
	}
}

/* ---- who orders ---- */

int
keeper_start(void)
{
	return servant_start(keep, NULL);
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

/* It has one system call to do, and an end of it is an answer too. */
int
keeper_feed_and_wait(int fd, const uint8_t *bytes, size_t len, unsigned bits, bool reseed)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int result = keeper_feed(fd, bytes, len, bits, reseed);

	if (result < 0)
		return result;
	while (poll(&one, 1, -1) < 0 && errno == EINTR)
		;
	return keeper_answer(fd);
}
