/* SPDX-License-Identifier: MIT */
/*
 * An EGD server over a pool that the test fills, in one process and one loop with its clients. The
 * pool's stream is numbers of four bytes, big-endian, from 0: all different, so that each can be
 * followed; what was put and what a client heard can be compared byte by byte.
 */
#ifndef TESTS_UNIT_EGD_RIG_H
#define TESTS_UNIT_EGD_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egd/server/egd_server.h"

struct egd_rig {
	char dir[32], path[64];
	struct event_base *base;
	struct pool *pool;
	struct egd_server *server;
	struct egd_listen_config config;
	int given;                /* listens on TCP, or -1 */
	struct helper *connector; /* for xen:, or NULL */
	uint16_t port;            /* of it, on 127.0.0.1 */
	uint64_t put;             /* bytes */
};

/* For cmocka: makes all but the server, with a configuration to be changed before the start. */
int egd_rig_begin(void **state);
int egd_rig_end(void **state);

/* Over a Unix socket; or over TCP on loopback, at a port that was free. */
void egd_rig_start(struct egd_rig *rig);
void egd_rig_start_tcp(struct egd_rig *rig);

/* All that is ready is done: peers in the same process need no waiting. */
void egd_rig_turn(struct egd_rig *rig);

/* Goes on until `true(arg)`, which some timer of the server's makes so. */
void egd_rig_until(struct egd_rig *rig, bool (*true_now)(void *arg), void *arg);

/* The next bytes of the stream go into the pool. */
void egd_rig_put(struct egd_rig *rig, size_t len);

/* A client. */
int egd_rig_join(struct egd_rig *rig);
void egd_rig_say(struct egd_rig *rig, int fd, const void *bytes, size_t len);

/* What has come, at most `cap`; *ret_ended: that is all, and the server has closed. */
size_t egd_rig_hear(struct egd_rig *rig, int fd, uint8_t *ret, size_t cap, bool *ret_ended);

/* Assert that `len` bytes have come and the connection is open; or that it is closed. */
void egd_rig_hears(struct egd_rig *rig, int fd, const void *bytes, size_t len);
void egd_rig_hears_the_end(struct egd_rig *rig, int fd);

/* Bytes `from`.. of the stream. */
void egd_rig_stream(uint64_t from, size_t len, uint8_t *ret);

struct egd_server_status egd_rig_status(const struct egd_rig *rig);

/* Asserts that the pool's accounts balance, and returns them. */
struct pool_totals egd_rig_totals(const struct egd_rig *rig);

#endif
