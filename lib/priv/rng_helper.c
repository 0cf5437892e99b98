/* SPDX-License-Identifier: MIT */
#include "lib/priv/rng_helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "lib/priv/random.h"
#include "lib/secret.h"

struct request {
	uint32_t len, bits, reseed;
	uint8_t bytes[PRIV_RANDOM_BYTES_MAX];
};

_Static_assert(sizeof(struct request) <= HELPER_MESSAGE_MAX, "a message");

/* ---- the helper ---- */

static int
prepare(const char *argument)
{
	(void)argument;
	return priv_open_random();
}

static int
feed(int random, const struct request *r)
{
	int result;

	if (random < 0)
		return random;
	if (r->bits == 0)
		return priv_random_mix(random, r->bytes, r->len);
	result = priv_random_credit(random, r->bytes, r->len, r->bits);
	if (result == 0 && r->reseed)
		result = priv_random_reseed(random);
	return result == -ENODATA ? 0 : result;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	(void)fd, (void)ret_fd;
	*(int32_t *)ret_answer = feed(prepared, request);
	return true;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg sendmsg"},
	SANDBOX_ONLY("ioctl", 2, RNDADDENTROPY),
	SANDBOX_ONLY("ioctl", 2, RNDRESEEDCRNG),
	{.name = NULL},
};

const struct helper_role rng_helper_role = {
	.name = "ekey-rng",
	.does = "gives up to 512 bytes at a time, with at most 8 bits of credit each, to the"
		" kernel's random generator",
	.capability = CAP_SYS_ADMIN,
	.request_size = sizeof(struct request),
	.answer_size = sizeof(int32_t),
	.timeout_s = 10,
	.sandbox = {.calls = calls, .files_max = 8, .memory_bytes = 256U << 20},
	.prepare = prepare,
	.act = act,
};

/* ---- its user ---- */

static bool
fill(struct request *ret, const uint8_t *bytes, size_t len, unsigned bits, bool reseed)
{
	if (len == 0 || len > sizeof(ret->bytes))
		return false;
	*ret = (struct request){.len = (uint32_t)len, .bits = bits, .reseed = reseed};
	memcpy(ret->bytes, bytes, len);
	return true;
}

int
rng_helper_feed(struct helper *helper, const uint8_t *bytes, size_t len, unsigned bits, bool reseed)
{
	struct request request;
	int result = -EINVAL;

	if (fill(&request, bytes, len, bits, reseed))
		result = helper_send(helper, &request, -1);
	secret_wipe(&request, sizeof(request));
	return result;
}

int
rng_helper_answer(struct helper *helper)
{
	int32_t answer;
	int fd, result = helper_receive(helper, &answer, &fd);

	return result < 0 ? result : answer;
}

int
rng_helper_feed_and_wait(struct helper *helper, const uint8_t *bytes, size_t len, unsigned bits,
			 bool reseed)
{
	struct request request;
	int32_t answer;
	int result = -EINVAL;

	if (fill(&request, bytes, len, bits, reseed))
		result = helper_call(helper, &request, &answer, NULL);
	secret_wipe(&request, sizeof(request));
	return result < 0 ? result : answer;
}
