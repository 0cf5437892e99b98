/* SPDX-License-Identifier: MIT */
/*
 * The first byte chooses the request of which the rest is the reply; the rest is read as requests,
 * too. Requests come out the same when the bytes come one at a time.
 */
#include "egd/egd_wire.h"
#include "tests/fuzz/fuzz.h"

/* Requests read from bytes that arrive one at a time must be those of `whole`. */
static void
check_bytewise(struct cursor in)
{
	struct cursor slow = cursor_over(in.at, 0);
	size_t left = in.left;
	enum egd_found all, one;
	struct egd_request a = {0}, b = {0};

	do {
		all = egd_wire_request(&in, &a);
		while ((one = egd_wire_request(&slow, &b)) == EGD_PARTIAL && left > 0) {
			promise(slow.left < EGD_REQUEST_MAX,
				"no request is longer than the longest");
			slow.left++;
			left--;
		}
		promise(one == all, "bytes one at a time are what they are together");
		promise(all != EGD_WHOLE || (a.op == b.op && a.len == b.len), "the same request");
	} while (all == EGD_WHOLE);
}

static void
check_reply(enum egd_op asked, struct cursor in)
{
	size_t before = in.left;
	struct egd_reply reply;

	if (egd_wire_reply(asked, &in, &reply) != EGD_WHOLE) {
		promise(in.left == before, "what is not whole is not taken");
		return;
	}
	promise(reply.bytes + reply.len == in.at, "a reply ends with its bytes");
	promise(before - in.left <= EGD_REPLY_MAX, "no reply is longer than the longest");
	promise(asked != EGD_GET_COUNT || reply.len == EGD_LEVEL_LEN, "a level is exact");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	enum egd_op asked = fuzz_byte(&in) % 2 == 0 ? EGD_GET_COUNT : EGD_GET_PID;

	check_bytewise(in);
	check_reply(asked, in);
	return 0;
}
