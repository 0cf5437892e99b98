/* SPDX-License-Identifier: MIT */
#include "tests/sim/usbip.h"

#include <string.h>

/* Positions in the header. */
enum {
	COMMAND = 0,
	SEQUENCE = 4,
	DIRECTION = 12,
	ENDPOINT = 16,
	UNLINK = 20,
	STATUS = 20,
	LEN = 24,
	PACKETS = 32,
	SETUP = 40,
};

#define RET_SUBMIT 3
#define RET_UNLINK 4
#define ENDPOINT_MAX 15
#define NOT_ISOCHRONOUS UINT32_MAX /* or 0, as Linux writes it */

static uint32_t
get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static bool
parse_submit(const uint8_t *header, struct usbip_command *c)
{
	uint32_t direction = get32(header + DIRECTION), endpoint = get32(header + ENDPOINT);
	uint32_t packets = get32(header + PACKETS);

	c->in = direction == 1;
	c->endpoint = (uint8_t)endpoint;
	c->len = get32(header + LEN);
	memcpy(c->setup, header + SETUP, USBIP_SETUP_LEN);
	return direction <= 1 && endpoint <= ENDPOINT_MAX && c->len <= USBIP_DATA_MAX &&
	       (packets == 0 || packets == NOT_ISOCHRONOUS);
}

bool
usbip_parse(const uint8_t header[static USBIP_HEADER_LEN], struct usbip_command *ret)
{
	struct usbip_command c = {.sequence = get32(header + SEQUENCE)};
	uint32_t kind = get32(header + COMMAND);

	if (kind == USBIP_UNLINK)
		c.unlink = get32(header + UNLINK);
	else if (kind != USBIP_SUBMIT || !parse_submit(header, &c))
		return false;
	c.kind = (enum usbip_kind)kind;
	*ret = c;
	return true;
}

size_t
usbip_payload_len(const struct usbip_command *c)
{
	return c->kind == USBIP_SUBMIT && !c->in ? c->len : 0;
}

static void
put_answer(uint32_t command, uint32_t sequence, int status, uint8_t ret[static USBIP_HEADER_LEN])
{
	memset(ret, 0, USBIP_HEADER_LEN);
	put32(ret + COMMAND, command);
	put32(ret + SEQUENCE, sequence);
	put32(ret + STATUS, (uint32_t)status);
}

void
usbip_returned(uint32_t sequence, int status, uint32_t len, uint8_t ret[static USBIP_HEADER_LEN])
{
	put_answer(RET_SUBMIT, sequence, status, ret);
	put32(ret + LEN, len);
}

void
usbip_unlinked(uint32_t sequence, int status, uint8_t ret[static USBIP_HEADER_LEN])
{
	put_answer(RET_UNLINK, sequence, status, ret);
}
