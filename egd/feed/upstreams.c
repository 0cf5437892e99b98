/* SPDX-License-Identifier: MIT */
#include "egd/feed/upstreams.h"

#include <inttypes.h>
#include <stdio.h>

#include "egd/egd_wire.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/secret.h"

#define SICK (-200000) /* no errno: the bytes failed the health tests */

_Static_assert(PRIV_RANDOM_CREDIT_MAX == HEALTH_H_MAX,
	       "each credit is a claim that the tests can check");

bool
upstreams_init(struct upstreams *u, const struct options *options)
{
	char error[TLS_ERROR_MAX];

	*u = (struct upstreams){.count = options->from_count, .timeout_ms = options->timeout_ms};
	for (size_t i = 0; i < u->count; i++) {
		const char *warning;

		health_init(&u->health[i], options->credit > 0 ? options->credit : HEALTH_H_MIN);
		if (!channel_prepare(&u->to[i], options->from[i], options, error)) {
			fprintf(stderr, "ekey-feed: --from %s: %s\n", options->from[i], error);
			return false;
		}
		warning = u->to[i].tls != NULL ? tls_context_warning(u->to[i].tls) : NULL;
		if (warning != NULL)
			log_warn("%s", warning);
		if (!u->to[i].trusted && options->mode != MODE_CHECK)
			log_info(
				"%s: its bytes get no credit, because plain TCP is not trusted; add"
				" --trusted where the link is private",
				u->to[i].address);
	}
	return true;
}

void
upstreams_finish(struct upstreams *u)
{
	for (size_t i = 0; i < u->count; i++)
		tls_context_free(&u->to[i].tls);
}

/*
 * Connects and requests the level first: only an EGD server answers in this way, and bytes of
 * others must not be taken for entropy.
 */
static int
open_server(const struct channel_to *to, struct channel *c, uint8_t level[static EGD_LEVEL_LEN],
	    uint64_t end_ms)
{
	int result = channel_open(c, to, end_ms);

	return result < 0 ? result
			  : channel_ask(c, (struct egd_request){.op = EGD_GET_COUNT}, level,
					EGD_LEVEL_LEN, end_ms);
}

/* Logs a line when the server begins to fail. */
static int
fetch(struct upstreams *u, size_t i, uint8_t *ret, size_t len)
{
	const struct channel_to *to = &u->to[i];
	const struct egd_request request = {.op = EGD_READ, .len = (uint8_t)len};
	uint64_t end_ms = clock_now_ms() + u->timeout_ms;
	uint8_t level[EGD_LEVEL_LEN];
	struct channel c;
	int result = open_server(to, &c, level, end_ms);

	if (result == 0)
		result = channel_ask(&c, request, ret, len, end_ms);
	if (result == 0 && health_test(&u->health[i], ret, len) != HEALTH_OK)
		result = SICK;
	if (result < 0 && !u->failing[i])
		log_warn("%s: %s", to->address,
			 result == SICK ? "its bytes repeat too much to be entropy and are not used"
					: channel_why(&c, result));
	if (result < 0)
		secret_wipe(ret, len);
	u->failing[i] = result < 0;
	u->refused = u->refused || result == SICK || result == CONNECT_NOT_EGD;
	channel_close(&c);
	return result;
}

const struct channel_to *
upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len)
{
	u->refused = false;
	for (size_t i = 0; i < u->count; i++) {
		bool failed = u->failing[i];

		if (fetch(u, i, ret, len) < 0)
			continue;
		if (u->last != &u->to[i] || failed)
			log_info("%s: delivers", u->to[i].address);
		u->last = &u->to[i];
		return u->last;
	}
	return NULL;
}

/* Returns the error of one server, after a line about it. */
static int
check(const struct channel_to *to, uint64_t end_ms)
{
	struct channel c;
	uint8_t level[EGD_LEVEL_LEN];
	struct cursor in = cursor_over(level, sizeof(level));
	struct egd_reply reply;
	int result = open_server(to, &c, level, end_ms);

	if (result == 0 && egd_wire_reply(EGD_GET_COUNT, &in, &reply) == EGD_WHOLE)
		printf("%s: %" PRIu32 " bits\n", to->address, reply.bits);
	else
		fprintf(stderr, "ekey-feed: %s: %s\n", to->address, channel_why(&c, result));
	channel_close(&c);
	return result;
}

int
upstreams_check(const struct upstreams *u)
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
