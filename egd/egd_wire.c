/* SPDX-License-Identifier: MIT */
#include "egd/egd_wire.h"

#include <assert.h>

#define ADD_HEAD 4 /* 03, two bytes of bits, one of length */

/* ---- servers ---- */

enum egd_found
egd_wire_request(struct cursor *in, struct egd_request *ret)
{
	/* By the first byte of a request: bytes up to and with its length field. */
	static const uint8_t heads[] = {[EGD_GET_COUNT] = 1,
					[EGD_READ_NB] = 2,
					[EGD_READ] = 2,
					[EGD_WRITE] = ADD_HEAD,
					[EGD_GET_PID] = 1};
	const uint8_t *at = in->at;
	struct egd_request request = {0};
	size_t head, data;

	if (in->left == 0)
		return EGD_PARTIAL;
	if (at[0] >= sizeof(heads))
		return EGD_BAD;
	head = heads[at[0]];
	if (in->left < head)
		return EGD_PARTIAL;
	request.op = (enum egd_op)at[0];
	request.len = head > 1 ? at[head - 1] : 0;
	data = request.op == EGD_WRITE ? request.len : 0;
	if (!cursor_take(in, head + data, &at))
		return EGD_PARTIAL;
	*ret = request;
	return EGD_WHOLE;
}

void
egd_wire_put_level(uint64_t bytes, uint8_t ret[static EGD_LEVEL_LEN])
{
	uint32_t bits = htobe32(bytes > UINT32_MAX / 8 ? UINT32_MAX : (uint32_t)bytes * 8);

	memcpy(ret, &bits, sizeof(bits));
}

size_t
egd_wire_put_pid(uint64_t pid, uint8_t ret[static EGD_PID_MAX])
{
	uint8_t digits[EGD_PID_MAX - 1];
	size_t len = 0;

	do {
		digits[sizeof(digits) - ++len] = (uint8_t)('0' + pid % 10);
		pid /= 10;
	} while (pid > 0);
	ret[0] = (uint8_t)len;
	memcpy(ret + 1, digits + sizeof(digits) - len, len);
	return 1 + len;
}

/* ---- clients ---- */

size_t
egd_wire_put_request(struct egd_request request, uint8_t ret[static EGD_ASK_LEN])
{
	ret[0] = (uint8_t)request.op;
	ret[1] = request.len;
	return request.op == EGD_READ ? 2 : 1;
}

enum egd_found
egd_wire_reply(enum egd_op asked, struct cursor *in, struct egd_reply *ret)
{
	struct egd_reply reply = {.len = EGD_LEVEL_LEN};
	struct cursor c = *in;
	const uint8_t *count;
	uint32_t bits;

	assert(asked == EGD_GET_COUNT || asked == EGD_GET_PID);
	if (asked == EGD_GET_PID) {
		if (!cursor_take(&c, 1, &count))
			return EGD_PARTIAL;
		if (*count > EGD_PID_MAX - 1)
			return EGD_BAD;
		reply.len = *count;
	}
	if (!cursor_take(&c, reply.len, &reply.bytes))
		return EGD_PARTIAL;
	if (asked == EGD_GET_COUNT) {
		memcpy(&bits, reply.bytes, sizeof(bits));
		reply.bits = be32toh(bits);
	}
	*in = c;
	*ret = reply;
	return EGD_WHOLE;
}
