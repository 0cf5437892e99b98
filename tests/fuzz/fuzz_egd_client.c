/* SPDX-License-Identifier: MIT */
/*
 * A client, and a server that sends anything at all. Each step is a byte that says what is asked,
 * how much time passes, or how many of the bytes that follow the server sends. However they come:
 * no more entropy is taken than was asked for, of what comes no byte is taken twice or left out,
 * and time and requests alone bring nothing.
 */
#include "egd/egd_client.h"
#include "tests/fuzz/fuzz.h"

#define PATIENCE_MS 30000
#define STEP_ASK 0xff
#define STEP_LEVEL 0xfe
#define STEP_PID 0xfd
#define STEP_TIME 0xfc

struct run {
	struct egd_client client;
	uint64_t now_ms;
	uint64_t owed; /* by our own count */
};

static void
ask(struct run *r, size_t want)
{
	uint8_t requests[EGD_CLIENT_SEND_MAX];
	struct egd_request request;
	size_t len = egd_client_ask(&r->client, want, r->now_ms, requests), bytes = 0;
	struct cursor in = cursor_over(requests, len);

	promise(len == 0 || r->owed == 0, "one round at a time");
	promise(len == 0 || r->client.proven, "an unknown server is not asked for entropy");
	while (egd_wire_request(&in, &request) == EGD_WHOLE) {
		promise(request.op == EGD_READ, "only reads bring entropy");
		bytes += request.len;
	}
	promise(in.left == 0, "requests are whole");
	promise(bytes <= want, "no more is asked for than is wanted");
	r->owed += bytes;
}

/* False: the server sent what was not asked for, or a level or pid that is none. */
static bool
hear(struct run *r, struct cursor in)
{
	const uint8_t *at = in.at;
	struct egd_reply reply;
	enum egd_client_event event;
	bool single = r->client.has_single;

	while ((event = egd_client_next(&r->client, &in, r->now_ms, &reply)) != EGD_CLIENT_MORE) {
		if (event == EGD_CLIENT_BAD) {
			promise(r->owed == 0 || single, "entropy that is owed is no violation");
			return false;
		}
		single = r->client.has_single;
		if (event == EGD_CLIENT_BYTES) {
			promise(reply.bytes == at, "no byte is taken twice or left out");
			promise(reply.len > 0 && reply.len <= r->owed,
				"no more than was asked for");
			r->owed -= reply.len;
		}
		promise(in.at > at, "each event takes something");
		at = in.at;
	}
	promise(in.left == 0, "all is taken");
	return true;
}

static bool
step(struct run *r, struct cursor *in)
{
	uint8_t single[EGD_ASK_LEN];
	const uint8_t *at;
	struct cursor heard;

	if (!cursor_take(in, 1, &at))
		return false;
	if (*at == STEP_LEVEL || *at == STEP_PID) {
		(void)egd_client_ask_single(&r->client,
					    *at == STEP_PID ? EGD_GET_PID : EGD_GET_COUNT,
					    r->now_ms, single);
	} else if (*at == STEP_ASK || *at == STEP_TIME) {
		uint8_t op = *at;

		if (!cursor_take(in, 2, &at))
			return false;
		if (op == STEP_ASK)
			ask(r, (size_t)(at[0] << 8 | at[1]));
		else
			r->now_ms += (uint64_t)(at[0] << 8 | at[1]);
		(void)egd_client_prove(&r->client, r->now_ms);
	} else {
		heard = cursor_over(NULL, *at < in->left ? *at : in->left);
		(void)cursor_take(in, heard.left, &heard.at);
		return hear(r, heard);
	}
	promise(egd_client_is_owed(&r->client) || r->owed == 0, "what is owed is known");
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	struct run r = {.now_ms = 1};

	egd_client_open(&r.client, PATIENCE_MS, r.now_ms);
	while (step(&r, &in))
		;
	return 0;
}
