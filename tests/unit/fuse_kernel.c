/* SPDX-License-Identifier: MIT */
#include "tests/unit/fuse_kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bytes.h"

#define CUSE_DEVICE_PATH "/dev/ekey-test"

/* ---- the kernel's side ---- */

void
kernel_send(struct kernel *k, uint32_t opcode, uint64_t unique, const void *body, size_t len)
{
	struct fuse_in_header in = {.len = (uint32_t)(sizeof(in) + len),
				    .opcode = opcode,
				    .unique = unique,
				    .nodeid = FUSE_ROOT_ID,
				    .uid = 1000,
				    .gid = 1000,
				    .pid = 1};
	uint8_t bytes[512];

	memcpy(bytes, &in, sizeof(in));
	memcpy(bytes + sizeof(in), body, len);
	assert_int_equal(send(k->fd, bytes, in.len, 0), in.len);
	assert_int_equal(conn_drain(&k->conn), 0);
}

uint64_t
kernel_ask(struct kernel *k, uint32_t opcode, const void *body, size_t len)
{
	k->unique += 2; /* odd numbers are interrupts */
	kernel_send(k, opcode, k->unique, body, len);
	return k->unique;
}

bool
kernel_hear(struct kernel *k)
{
	ssize_t n = recv(k->fd, k->message, sizeof(k->message), MSG_DONTWAIT);

	if (n < 0)
		return false;
	k->out = (const struct fuse_out_header *)(const void *)k->message;
	assert_int_equal(k->out->len, n);
	k->body = k->message + sizeof(*k->out);
	k->body_len = (size_t)n - sizeof(*k->out);
	return true;
}

int
kernel_answer(struct kernel *k, uint64_t unique)
{
	assert_true(kernel_hear(k));
	assert_int_equal(k->out->unique, unique);
	return k->out->error;
}

uint64_t
kernel_open(struct kernel *k, uint32_t flags, int want_error)
{
	struct fuse_open_in in = {.flags = flags};
	struct fuse_open_out out = {0};

	assert_int_equal(kernel_answer(k, kernel_ask(k, FUSE_OPEN, &in, sizeof(in))), want_error);
	if (want_error == 0) {
		assert_int_equal(k->body_len, sizeof(out));
		memcpy(&out, k->body, sizeof(out));
		assert_true(out.open_flags & FOPEN_DIRECT_IO);
	}
	return out.fh;
}

uint64_t
kernel_read(struct kernel *k, uint64_t fh, uint32_t size, uint32_t flags)
{
	struct fuse_read_in in = {.fh = fh, .size = size, .flags = flags};

	return kernel_ask(k, FUSE_READ, &in, sizeof(in));
}

void
kernel_interrupt(struct kernel *k, uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};

	kernel_send(k, FUSE_INTERRUPT, unique | 1, &in, sizeof(in));
}

void
kernel_release(struct kernel *k, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	kernel_ask(k, FUSE_RELEASE, &in, sizeof(in));
}

uint32_t
kernel_poll(struct kernel *k, uint64_t fh, uint64_t kh, bool notify)
{
	struct fuse_poll_in in = {.fh = fh, .kh = kh, .events = POLLIN};
	struct fuse_poll_out out;

	in.flags = notify ? FUSE_POLL_SCHEDULE_NOTIFY : 0;
	assert_int_equal(kernel_answer(k, kernel_ask(k, FUSE_POLL, &in, sizeof(in))), 0);
	assert_int_equal(k->body_len, sizeof(out));
	memcpy(&out, k->body, sizeof(out));
	return out.revents;
}

void
assert_notified(struct kernel *k, uint64_t kh)
{
	struct fuse_notify_poll_wakeup_out out;

	assert_true(kernel_hear(k));
	assert_int_equal(k->out->unique, 0);
	assert_int_equal(k->out->error, FUSE_NOTIFY_POLL);
	memcpy(&out, k->body, sizeof(out));
	assert_int_equal(out.kh, kh);
}

int
kernel_ioctl(struct kernel *k, uint64_t fh, unsigned long command, uint32_t out_size)
{
	struct fuse_ioctl_in in = {.fh = fh, .cmd = (uint32_t)command, .out_size = out_size};

	return kernel_answer(k, kernel_ask(k, FUSE_IOCTL, &in, sizeof(in)));
}

void
kernel_deaf(struct kernel *k, bool deaf)
{
	assert_true(dup2(deaf ? k->unheard_fd : k->real_fd, k->conn.fd) >= 0);
	assert_true(dup2(deaf ? k->unheard_fd : k->stderr_fd, STDERR_FILENO) >= 0);
}

/* ---- the source's side ---- */

void
source_put(struct kernel *k, size_t len)
{
	uint8_t bytes[4096];

	assert_int_equal(len % 16, 0);
	for (size_t i = 0; i < len; i += 16, k->position += 16) {
		store_le64(bytes + i, k->position / 16);
		store_le64(bytes + i + 8, ~(k->position / 16));
	}
	assert_int_equal(pool_put(k->pool, bytes, len), len);
}

void
assert_fresh(struct kernel *k)
{
	assert_int_equal(k->body_len % 16, 0);
	for (size_t i = 0; i < k->body_len; i += 16) {
		uint64_t number = load_le64(k->body + i);

		assert_int_equal(load_le64(k->body + i + 8), ~number);
		assert_true(number < k->position / 16);
		assert_int_equal(k->seen[number], 0);
		k->seen[number] = 1;
	}
}

void
assert_read(struct kernel *k, uint64_t unique, size_t len)
{
	assert_int_equal(kernel_answer(k, unique), 0);
	assert_int_equal(k->body_len, len);
	assert_fresh(k);
}

void
assert_silent(struct kernel *k)
{
	assert_false(kernel_hear(k));
}

void
assert_balanced(struct kernel *k, uint64_t delivered, uint64_t lost)
{
	struct pool_totals t;

	pool_totals(k->pool, &t);
	assert_int_equal(t.delivered, delivered);
	assert_int_equal(t.lost, lost);
	assert_int_equal(t.in, t.delivered + t.lost + t.held);
}

/* ---- set-up ---- */

static void
kernel_init(struct kernel *k)
{
	const struct fuse_init_in fuse = {.major = 7, .minor = 38, .max_readahead = 131072};
	const struct cuse_init_in cuse = {.major = 7, .minor = 38};

	if (strcmp(k->kind.name, "fuse") == 0)
		kernel_ask(k, FUSE_INIT, &fuse, sizeof(fuse));
	else
		kernel_ask(k, CUSE_INIT, &cuse, sizeof(cuse));
	assert_int_equal(kernel_answer(k, k->unique), 0);
	assert_true(k->conn.initialised);
}

/* A server, with an empty pool. */
static void
kernel_serve(struct kernel *k)
{
	const struct pool_config config = {
		.size = 65536, .max_handles = k->max_handles, .max_waiters = k->max_waiters};

	k->pool = pool_new(&config);
	k->requests = requests_new(k->pool, k->table, CUSE_DEVICE_PATH);
	k->conn = (struct conn){.kind = k->conn.kind,
				.path = CUSE_DEVICE_PATH,
				.mode = 0444,
				.requests = k->requests};
}

static void
kernel_unserve(struct kernel *k)
{
	conn_detach(&k->conn);
	requests_free(&k->requests);
	pool_free(&k->pool);
}

/* The path of a socket is not to be looked at. */
static int
published(struct conn *c)
{
	(void)c;
	return 0;
}

static struct kernel *
kernel_new(const struct conn_kind *kind, unsigned max_handles, unsigned max_waiters)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int size = 4 * KERNEL_MESSAGE_MAX, pair[2];

	k->max_handles = max_handles;
	k->max_waiters = max_waiters;
	k->kind = *kind;
	k->kind.publish = published;
	k->conn.kind = &k->kind;
	k->table = table_new(&k->table_fd);
	kernel_serve(k);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	k->fd = pair[0];
	k->real_fd = dup(pair[1]);
	k->stderr_fd = dup(STDERR_FILENO);
	k->unheard_fd = open("/dev/null", O_RDONLY);
	assert_int_equal(conn_attach(&k->conn, pair[1]), 0);
	kernel_init(k);
	return k;
}

/*
 * What the table holds at this moment is all that is left: the first server goes on to clear up,
 * but in memory that the second one never sees.
 */
int
kernel_succeed(struct kernel *k)
{
	struct table *killed = k->table;
	int result, left;

	k->table = table_new(&left);
	memcpy(k->table, killed, sizeof(*killed));
	table_free(&k->table);
	kernel_unserve(k);
	table_free(&killed);
	close(k->table_fd);
	result = table_resume(left, &k->table, &k->table_fd);
	if (result < 0)
		k->table_fd = -1;
	close(left);
	if (result < 0)
		return result;
	kernel_serve(k);
	return conn_resume(&k->conn, dup(k->real_fd));
}

static void
kernel_free(struct kernel *k)
{
	if (k->table != NULL)
		kernel_unserve(k);
	table_free(&k->table);
	close(k->table_fd);
	close(k->fd);
	close(k->real_fd);
	close(k->stderr_fd);
	close(k->unheard_fd);
	free(k);
}

const struct conn_kind *const kernel_kinds[] = {&conn_cuse, &conn_fuse};

int
kernel_set_up(void **state)
{
	const struct conn_kind *const *kind = *state;

	*state = kernel_new(*kind, 4 * 64, 64); /* its one user may open 64 files */
	return 0;
}

int
kernel_tear_down(void **state)
{
	kernel_free(*state);
	return 0;
}
