/* SPDX-License-Identifier: MIT */
#include "tests/sim/command.h"

#include <string.h>

#include "backend/ekey/pem64.h"

#define CHAR_RESET 0x03 /* ^C: the one character that is heard in every state */

void
command_init(struct command_parser *p)
{
	*p = (struct command_parser){.state = COMMAND_IDLE};
}

static enum command
command_begin(struct command_parser *p, enum command_state state, enum command whole)
{
	p->state = state;
	p->whole = whole;
	p->quad_len = p->nonce_len = p->mac_len = 0;
	p->padded = false;
	return COMMAND_NONE;
}

static enum command
command_end(struct command_parser *p, enum command done)
{
	p->state = COMMAND_IDLE;
	return done;
}

static enum command
command_unknown(struct command_parser *p, uint8_t c)
{
	p->unknown = c;
	return command_end(p, COMMAND_UNKNOWN);
}

static enum command
command_idle(struct command_parser *p, uint8_t c)
{
	switch (c) {
	case 'R':
	case 'r':
		return COMMAND_RESET;
	case 'K':
	case 'k':
		return command_begin(p, COMMAND_IN_NONCE, COMMAND_REKEY);
	case 'L':
	case 'l':
		return command_begin(p, COMMAND_IN_NONCE, COMMAND_LT_REKEY);
	case 'M':
	case 'm':
		return command_begin(p, COMMAND_IN_MAC, COMMAND_LT_MAC);
	default:
		return command_unknown(p, c);
	}
}

/* A digit anywhere, or padding where it may stand: a wrong character is told at once. */
static bool
command_quad_takes(const struct command_parser *p, uint8_t c)
{
	const char pair[2] = {(char)c, 'A'};
	unsigned value;

	return pem64_subcode_decode(pair, &value) || (c == '=' && p->quad_len >= 2);
}

/* Adds a character; with the fourth the quad is decoded to at most `cap` bytes. False: not PEM. */
static bool
command_quad(struct command_parser *p, uint8_t c, size_t cap, uint8_t *ret, size_t *ret_len)
{
	*ret_len = 0;
	if (!command_quad_takes(p, c))
		return false;
	p->quad[p->quad_len++] = (char)c;
	if (p->quad_len < sizeof(p->quad))
		return true;
	p->quad_len = 0;
	return pem64_decode(p->quad, sizeof(p->quad), cap, ret, ret_len);
}

static enum command
command_nonce(struct command_parser *p, uint8_t c)
{
	size_t cap = COMMAND_NONCE_MAX - p->nonce_len, len;
	bool at_quad = p->quad_len == 0;

	if (c == '.' && at_quad)
		return command_end(p, p->whole);
	if (p->padded || !command_quad(p, c, cap, p->nonce + p->nonce_len, &len))
		return command_unknown(p, c);
	p->nonce_len += len;
	p->padded = p->quad_len == 0 && len < 3;
	return COMMAND_NONE;
}

static enum command
command_mac(struct command_parser *p, uint8_t c)
{
	size_t len;

	if (!command_quad(p, c, COMMAND_MAC_LEN - p->mac_len, p->mac + p->mac_len, &len) ||
	    (p->quad_len == 0 && len < 3))
		return command_unknown(p, c);
	p->mac_len += len;
	return p->mac_len == COMMAND_MAC_LEN ? command_end(p, COMMAND_LT_MAC) : COMMAND_NONE;
}

static enum command
command_char(struct command_parser *p, uint8_t c)
{
	if (c == CHAR_RESET)
		return command_end(p, COMMAND_RESET);
	switch (p->state) {
	case COMMAND_IN_NONCE:
		return command_nonce(p, c);
	case COMMAND_IN_MAC:
		return command_mac(p, c);
	default:
		return command_idle(p, c);
	}
}

enum command
command_next(struct command_parser *p, struct cursor *packet)
{
	const uint8_t *c;

	while (cursor_take(packet, 1, &c)) {
		enum command done = command_char(p, *c);

		if (done == COMMAND_UNKNOWN)
			cursor_take(packet, packet->left, &c);
		if (done != COMMAND_NONE)
			return done;
	}
	return COMMAND_NONE;
}
