/* SPDX-License-Identifier: MIT */
/*
 * A key that gives entropy when it is told to, one frame at a time, so that the moment a frame goes
 * on the wire is known. It knows what a host needs to reach its first session and nothing more: for
 * all else there is ekey-sim.
 */
#ifndef TESTS_BENCH_KEY_H
#define TESTS_BENCH_KEY_H

#include "backend/ekey/keyed.h"
#include "tests/sim/command.h"

#define KEY_FRAMES_MAX 4000 /* entropy frames of one session, below the 4,096 that end it */

struct key {
	int fd; /* the host, blocking */
	uint8_t serial[KEYED_SERIAL_LEN];
	struct keyed zero_mac, mac, pad;
	struct keyed session; /* makes session keys out of the long-term key */
	struct command_parser commands;
	unsigned sequence;
};

/*
 * Listens at `path`, waits for the host and answers it until there is a session. `keyring` is a
 * keyring file's path; its first key is ours. Exits on any error.
 */
void key_open(struct key *k, const char *path, const char *keyring);

/* One frame with an unpredictable block in it: made first, then written at once. */
void key_prepare(struct key *k, uint8_t ret_frame[static 64]);
void key_write(const struct key *k, const uint8_t frame[static 64]);

void key_close(struct key *k);

#endif
