/* SPDX-License-Identifier: MIT */
#include "guest/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "egd/egd_wire.h"
#include "guest/connect.h"
#include "guest/exit.h"

/* On an open channel. 0, or as channel_ask(). */
static int
ask_level(struct channel *c, uint32_t *ret_bits, uint64_t end_ms)
{
	const struct egd_request request = {.op = EGD_LEVEL};
	uint8_t answer[EGD_LEVEL_LEN];
	struct egd_reply reply;
	struct cursor in;
	int result = channel_ask(c, request, answer, sizeof(answer), end_ms);

	if (result < 0)
		return result;
	in = cursor_over(answer, sizeof(answer));
	(void)egd_wire_reply(request, &in, &reply); /* any four bytes are a level */
	*ret_bits = reply.bits;
	return 0;
}

/* 0, or as channel_ask(), after a line about it. */
static int
check(const struct channel_to *to, uint64_t end_ms)
{
	struct channel c;
	uint32_t bits = 0;
	int result = channel_open(&c, to, end_ms);

	if (result == 0)
		result = ask_level(&c, &bits, end_ms);
	if (result == 0)
		printf("%s: %" PRIu32 " bits\n", to->address, bits);
	else
		fprintf(stderr, "ekey-feed: %s: %s\n", to->address, channel_why(&c, result));
	channel_close(&c);
	return result;
}

int
check_run(const struct upstreams *u)
{
	int status = FEED_EXIT_UPSTREAM;

	for (size_t i = 0; i < u->count; i++) {
		int result = check(&u->to[i], clock_now_ms() + u->timeout_ms);

		if (result == 0)
			return FEED_EXIT_OK;
		if (result == CONNECT_NOT_EGD)
			status = FEED_EXIT_REFUSED;
	}
	return status;
}
