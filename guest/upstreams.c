/* SPDX-License-Identifier: MIT */
#include "guest/upstreams.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "egd/egd_wire.h"

bool
upstreams_init(struct upstreams *u, const struct options *options)
{
	char error[TLS_ERROR_MAX];

	*u = (struct upstreams){.count = options->from_count, .timeout_ms = options->timeout_ms};
	for (size_t i = 0; i < u->count; i++) {
		const char *warning;

		if (!channel_prepare(&u->to[i], options->from[i], options, error, sizeof(error))) {
			fprintf(stderr, "ekey-feed: --from %s: %s\n", options->from[i], error);
			return false;
		}
		warning = u->to[i].tls != NULL ? tls_context_warning(u->to[i].tls) : NULL;
		if (warning != NULL)
			log_warn("%s", warning);
		if (!u->to[i].trusted && options->mode != MODE_CHECK)
			log_info("%s: plain TCP, so that its bytes get no credit; where the link is"
				 " private, write --trusted",
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

/* Asks on an open channel for bytes that the server gives when it has them all. */
static int
ask(struct channel *c, uint8_t *ret, size_t len, uint64_t end_ms)
{
	const struct egd_request request = {.op = EGD_READ, .len = (uint8_t)len};
	uint8_t bytes[EGD_ASK_LEN];
	int result = channel_send(c, bytes, egd_wire_put_request(request, bytes), end_ms);

	return result < 0 ? result : channel_receive(c, ret, len, end_ms);
}

/* A line when it begins to fail. */
static bool
fetch(const struct channel_to *to, uint64_t end_ms, uint8_t *ret, size_t len, bool *failing)
{
	struct channel c;
	int result = channel_open(&c, to, end_ms);

	if (result == 0)
		result = ask(&c, ret, len, end_ms);
	if (result < 0 && !*failing)
		log_warn("%s: %s", to->address, channel_why(&c, result));
	*failing = result < 0;
	channel_close(&c);
	return result == 0;
}

const struct channel_to *
upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len)
{
	for (size_t i = 0; i < u->count; i++) {
		bool failed = u->failing[i];

		if (!fetch(&u->to[i], clock_now_ms() + u->timeout_ms, ret, len, &u->failing[i]))
			continue;
		if (u->last != &u->to[i] || failed)
			log_info("%s: delivers", u->to[i].address);
		u->last = &u->to[i];
		return u->last;
	}
	return NULL;
}
