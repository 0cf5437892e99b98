/* SPDX-License-Identifier: MIT */
/*
 * A kernel that is a socket: raw CUSE and FUSE messages to the device, raw answers back, by the
 * real carriers, the real libfuse and the real pool. And the source's side of that pool.
 */
#ifndef TESTS_UNIT_FUSE_KERNEL_H
#define TESTS_UNIT_FUSE_KERNEL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuse/conn.h"

#define KERNEL_STREAM_MAX (1 << 20) /* bytes */
#define KERNEL_MESSAGE_MAX (REQUESTS_REPLY_MAX + 4096)

struct kernel {
	struct pool *pool;
	unsigned max_handles, max_waiters;
	struct table *table;
	int table_fd;
	struct requests *requests;
	struct conn_kind kind; /* without publication */
	struct conn conn;
	int fd, unheard_fd; /* our end; something that no answer can be written to */
	int real_fd;        /* the carrier's end, while it is put aside */
	int stderr_fd;      /* the same for stderr */
	uint64_t unique;
	uint64_t position;                    /* of the stream, bytes put */
	uint8_t seen[KERNEL_STREAM_MAX / 16]; /* blocks that came out */
	uint8_t message[KERNEL_MESSAGE_MAX];  /* last answer */
	const struct fuse_out_header *out;    /* in message */
	const uint8_t *body;                  /* in message */
	size_t body_len;
};

/* ---- the kernel's side ---- */

void kernel_send(struct kernel *k, uint32_t opcode, uint64_t unique, const void *body, size_t len);
uint64_t kernel_ask(struct kernel *k, uint32_t opcode, const void *body, size_t len);

/* False when there is no answer. */
bool kernel_hear(struct kernel *k);

/* The answer to `unique`, which must be the next one. */
int kernel_answer(struct kernel *k, uint64_t unique);

uint64_t kernel_open(struct kernel *k, uint32_t flags, int want_error);
uint64_t kernel_read(struct kernel *k, uint64_t fh, uint32_t size, uint32_t flags);
void kernel_interrupt(struct kernel *k, uint64_t unique);
void kernel_release(struct kernel *k, uint64_t fh);

/* revents; with `notify` the kernel wants to hear later. */
uint32_t kernel_poll(struct kernel *k, uint64_t fh, uint64_t kh, bool notify);

void assert_notified(struct kernel *k, uint64_t kh);
int kernel_ioctl(struct kernel *k, uint64_t fh, unsigned long command, uint32_t out_size);

/*
 * While deaf, every answer fails as it does for a request that the kernel has given up. libfuse
 * complains of it on stderr, which is put aside as well.
 */
void kernel_deaf(struct kernel *k, bool deaf);

/*
 * The server is killed now, its bytes with it; another one takes over. 0 or -errno: it refused, and
 * nobody serves. Nothing that the first one said is missing, nor anything that it did not say.
 */
int kernel_succeed(struct kernel *k);

/* ---- the source's side: 16-byte blocks, each with its number twice ---- */

void source_put(struct kernel *k, size_t len);

/* Every block of the last answer is one of ours, and never came before. */
void assert_fresh(struct kernel *k);

void assert_read(struct kernel *k, uint64_t unique, size_t len);
void assert_silent(struct kernel *k);
void assert_balanced(struct kernel *k, uint64_t delivered, uint64_t lost);

/* ---- set-up: every promise is tested on both carriers ---- */

extern const struct conn_kind *const kernel_kinds[];
int kernel_set_up(void **state);
int kernel_tear_down(void **state);

/* clang-format off */
#define ON_CARRIER(test, carrier, i) \
	{#test carrier, test, kernel_set_up, kernel_tear_down, (void *)(uintptr_t)&kernel_kinds[i]}
/* clang-format on */
#define BOTH(test) ON_CARRIER(test, " (CUSE)", 0), ON_CARRIER(test, " (FUSE)", 1)

#endif
