/* SPDX-License-Identifier: MIT */
/* What the host writes: single characters, some with an argument. doc/protocol.md 2, "Host to
 * device". */
#ifndef TESTS_SIM_COMMAND_H
#define TESTS_SIM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define COMMAND_NONCE_MAX 4095 /* bytes: what the answer's 12-bit sub-code can say */
#define COMMAND_MAC_LEN 6

enum command {
	COMMAND_NONE,     /* all input taken, no command complete */
	COMMAND_RESET,    /* 03, or R when idle */
	COMMAND_REKEY,    /* K quads '.': `nonce` */
	COMMAND_LT_MAC,   /* M and 8 characters: `mac` */
	COMMAND_LT_REKEY, /* L quads '.': `nonce` */
	COMMAND_UNKNOWN,  /* `unknown`; the rest of the packet has been thrown away */
};

enum command_state { COMMAND_IDLE, COMMAND_IN_NONCE, COMMAND_IN_MAC };

struct command_parser {
	enum command_state state;
	enum command whole; /* what the '.' will make of the nonce */
	char quad[4];
	size_t quad_len;
	bool padded; /* a quad with '=' was the nonce's last */
	size_t nonce_len, mac_len;
	uint8_t nonce[COMMAND_NONCE_MAX];
	uint8_t mac[COMMAND_MAC_LEN];
	uint8_t unknown;
};

void command_init(struct command_parser *p);

/*
 * Takes bytes of one packet up to the end of the next command. A command may come in any number of
 * packets; only COMMAND_UNKNOWN depends on where a packet ends. Call until COMMAND_NONE.
 */
enum command command_next(struct command_parser *p, struct cursor *packet);

#endif
