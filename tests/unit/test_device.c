/* SPDX-License-Identifier: MIT */
/*
 * The device against a kernel that is a socket: raw CUSE and FUSE messages in, raw answers out, by
 * the real carriers, the real libfuse and the real pool. Every promise is tested on both carriers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/random.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cuse/carrier.h"

#define STREAM_MAX (1 << 20)
#define CUSE_DEVICE_PATH "/dev/ekey-test"
#define MESSAGE_MAX (REQUESTS_REPLY_MAX + 4096)

struct kernel {
	struct pool *pool;
	struct requests *requests;
	struct carrier carrier;
	int fd, unheard_fd; /* our end; something that no answer can be written to */
	int real_fd;        /* the carrier's end, while it is put aside */
	int stderr_fd;      /* the same for stderr */
	uint64_t unique;
	uint64_t position;                 /* of the stream, bytes put */
	uint8_t seen[STREAM_MAX / 16];     /* blocks that came out */
	uint8_t message[MESSAGE_MAX];      /* last answer */
	const struct fuse_out_header *out; /* in message */
	const uint8_t *body;               /* in message */
	size_t body_len;
};

/* ---- the kernel's side ---- */

static void
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
	assert_int_equal(carrier_drain(&k->carrier), 0);
}

static uint64_t
kernel_ask(struct kernel *k, uint32_t opcode, const void *body, size_t len)
{
	k->unique += 2; /* odd numbers are interrupts */
	kernel_send(k, opcode, k->unique, body, len);
	return k->unique;
}

/* False when there is no answer. */
static bool
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

/* The answer to `unique`, which must be the next one. */
static int
kernel_answer(struct kernel *k, uint64_t unique)
{
	assert_true(kernel_hear(k));
	assert_int_equal(k->out->unique, unique);
	return k->out->error;
}

static uint64_t
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

static uint64_t
kernel_read(struct kernel *k, uint64_t fh, uint32_t size, uint32_t flags)
{
	struct fuse_read_in in = {.fh = fh, .size = size, .flags = flags};

	return kernel_ask(k, FUSE_READ, &in, sizeof(in));
}

static void
kernel_interrupt(struct kernel *k, uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};

	kernel_send(k, FUSE_INTERRUPT, unique | 1, &in, sizeof(in));
}

static void
kernel_release(struct kernel *k, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	kernel_ask(k, FUSE_RELEASE, &in, sizeof(in));
}

/* revents; with `notify` the kernel wants to hear later. */
static uint32_t
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

static void
assert_notified(struct kernel *k, uint64_t kh)
{
	struct fuse_notify_poll_wakeup_out out;

	assert_true(kernel_hear(k));
	assert_int_equal(k->out->unique, 0);
	assert_int_equal(k->out->error, FUSE_NOTIFY_POLL);
	memcpy(&out, k->body, sizeof(out));
	assert_int_equal(out.kh, kh);
}

static int
kernel_ioctl(struct kernel *k, uint64_t fh, unsigned long command, uint32_t out_size)
{
	struct fuse_ioctl_in in = {.fh = fh, .cmd = (uint32_t)command, .out_size = out_size};

	return kernel_answer(k, kernel_ask(k, FUSE_IOCTL, &in, sizeof(in)));
}

/*
 * While deaf, every answer fails as it does for a request that the kernel has given up. libfuse
 * complains of it on stderr, which is put aside as well.
 */
static void
kernel_deaf(struct kernel *k, bool deaf)
{
	assert_true(dup2(deaf ? k->unheard_fd : k->real_fd, k->carrier.fd) >= 0);
	assert_true(dup2(deaf ? k->unheard_fd : k->stderr_fd, STDERR_FILENO) >= 0);
}

/* ---- the source's side: 16-byte blocks, each with its number twice ---- */

static void
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

/* Every block of the last answer is one of ours, and never came before. */
static void
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

static void
assert_read(struct kernel *k, uint64_t unique, size_t len)
{
	assert_int_equal(kernel_answer(k, unique), 0);
	assert_int_equal(k->body_len, len);
	assert_fresh(k);
}

static void
assert_silent(struct kernel *k)
{
	assert_false(kernel_hear(k));
}

static void
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

	if (k->carrier.kind == &carrier_fuse)
		kernel_ask(k, FUSE_INIT, &fuse, sizeof(fuse));
	else
		kernel_ask(k, CUSE_INIT, &cuse, sizeof(cuse));
	assert_int_equal(kernel_answer(k, k->unique), 0);
	assert_true(k->carrier.initialised);
}

static struct kernel *
kernel_new(const struct carrier_kind *kind, unsigned max_handles, unsigned max_waiters)
{
	const struct pool_config config = {
		.size = 65536, .max_handles = max_handles, .max_waiters = max_waiters};
	struct kernel *k = calloc(1, sizeof(*k));
	int size = 4 * MESSAGE_MAX, pair[2];

	k->pool = pool_new(&config);
	k->requests = requests_new(k->pool, CUSE_DEVICE_PATH);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	k->fd = pair[0];
	k->real_fd = dup(pair[1]);
	k->stderr_fd = dup(STDERR_FILENO);
	k->unheard_fd = open("/dev/null", O_RDONLY);
	k->carrier = (struct carrier){
		.kind = kind, .path = CUSE_DEVICE_PATH, .mode = 0444, .requests = k->requests};
	assert_int_equal(carrier_attach(&k->carrier, pair[1]), 0);
	kernel_init(k);
	return k;
}

static void
kernel_free(struct kernel *k)
{
	carrier_detach(&k->carrier);
	requests_free(&k->requests);
	pool_free(&k->pool);
	close(k->fd);
	close(k->real_fd);
	close(k->stderr_fd);
	close(k->unheard_fd);
	free(k);
}

static const struct carrier_kind *const kinds[] = {&carrier_cuse, &carrier_fuse};

static int
set_up(void **state)
{
	/* Its one user may open 64 files. */
	*state = kernel_new(**(const struct carrier_kind *const **)state, 4 * 64, 64);
	return 0;
}

static int
tear_down(void **state)
{
	kernel_free(*state);
	return 0;
}

/* ---- the promises ---- */

static void
keeps_the_handshake_for_a_next_generation(void **state)
{
	struct kernel *k = *state;
	const struct table *t = requests_table(k->requests);
	bool fuse = k->carrier.kind == &carrier_fuse;

	assert_int_equal(t->init_opcode, fuse ? FUSE_INIT : CUSE_INIT);
	assert_int_equal(t->init_len,
			 fuse ? sizeof(struct fuse_init_in) : sizeof(struct cuse_init_in));
	assert_int_equal(t->init[0], 7);
}

static void
refuses_every_kind_of_writing(void **state)
{
	struct kernel *k = *state;

	kernel_open(k, O_WRONLY, -EACCES);
	kernel_open(k, O_RDWR, -EACCES);
	kernel_open(k, O_RDONLY, 0);
}

static void
says_enfile_when_no_more_files_can_be_open(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = 0;

	for (int i = 0; i < 64; i++)
		fh = kernel_open(k, O_RDONLY, 0);
	kernel_open(k, O_RDONLY, -ENFILE);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	kernel_open(k, O_RDONLY, 0);
}

static void
fuse_opens_are_streams_that_never_flush(void **state)
{
	struct kernel *k = *state;
	struct fuse_open_out out;

	kernel_open(k, O_RDONLY, 0);
	memcpy(&out, k->body, sizeof(out));
	if (k->carrier.kind == &carrier_fuse)
		assert_int_equal(out.open_flags, FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NOFLUSH);
	else
		assert_int_equal(out.open_flags, FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE);
}

static void
flush_is_unknown_so_that_closing_never_waits(void **state)
{
	struct kernel *k = *state;
	struct fuse_flush_in in = {.fh = kernel_open(k, O_RDONLY, 0)};

	assert_int_equal(kernel_answer(k, kernel_ask(k, FUSE_FLUSH, &in, sizeof(in))), -ENOSYS);
}

static void
reads_what_is_there_at_once(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	source_put(k, 1024);
	assert_read(k, kernel_read(k, fh, 16, O_RDONLY), 16);
	assert_read(k, kernel_read(k, fh, 4096, O_RDONLY), 1008);
	assert_balanced(k, 1024, 0);
}

static void
reads_of_nothing_are_empty(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_read(k, kernel_read(k, fh, 0, O_RDONLY), 0);
	assert_read(k, kernel_read(k, fh, 0, O_RDONLY | O_NONBLOCK), 0);
}

static void
blocking_reads_of_up_to_256_are_whole(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 256, O_RDONLY);
	for (int i = 0; i < 15; i++) {
		source_put(k, 16);
		assert_silent(k);
	}
	source_put(k, 16);
	assert_read(k, unique, 256);
	assert_balanced(k, 256, 0);
}

static void
longer_blocking_reads_get_at_least_256_and_what_more_there_is(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 1024, O_RDONLY);
	source_put(k, 240);
	assert_silent(k);
	source_put(k, 160);
	assert_read(k, unique, 400);
	unique = kernel_read(k, fh, 272, O_RDONLY);
	source_put(k, 1024);
	assert_read(k, unique, 272);
}

static void
no_answer_is_longer_than_the_limit(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	for (int i = 0; i < 16; i++)
		source_put(k, 4096);
	assert_read(k, kernel_read(k, fh, 131072, O_RDONLY), REQUESTS_REPLY_MAX);
}

static void
nonblocking_reads_get_what_is_there_else_eagain(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_NONBLOCK)), -EAGAIN);
	source_put(k, 32);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 32);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_NONBLOCK)), -EAGAIN);
	assert_false(requests_pending(k->requests));
}

static void
nobody_takes_what_another_waits_for(void **state)
{
	struct kernel *k = *state;
	uint64_t first = kernel_open(k, O_RDONLY, 0), second = kernel_open(k, O_RDONLY, 0);
	uint64_t unique = kernel_read(k, first, 64, O_RDONLY);

	source_put(k, 32);
	assert_int_equal(kernel_answer(k, kernel_read(k, second, 16, O_NONBLOCK)), -EAGAIN);
	source_put(k, 32);
	assert_read(k, unique, 64);
}

static void
an_interrupt_without_bytes_is_eintr(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 64, O_RDONLY);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_silent(k);
	source_put(k, 64);
	assert_silent(k);
	assert_read(k, kernel_read(k, fh, 64, O_RDONLY), 64);
	assert_balanced(k, 64, 0);
}

static void
an_interrupt_with_bytes_delivers_them(void **state)
{
	struct kernel *k = *state;
	struct requests_status status;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 256, O_RDONLY);
	source_put(k, 48);
	kernel_interrupt(k, unique);
	assert_read(k, unique, 48);
	requests_status(k->requests, &status);
	assert_int_equal(status.interrupted, 1);
	assert_balanced(k, 48, 0);
}

static void
an_interrupt_that_overtakes_its_read_is_not_forgotten(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	kernel_interrupt(k, k->unique + 2);
	unique = kernel_read(k, fh, 64, O_RDONLY);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_false(requests_pending(k->requests));
}

static void
an_interrupt_of_an_answered_read_is_put_off(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	source_put(k, 64);
	unique = kernel_read(k, fh, 64, O_RDONLY);
	assert_read(k, unique, 64);
	kernel_interrupt(k, unique);
	/* libfuse gives it back with the next request: the kernel asks again if it still cares */
	kernel_read(k, fh, 16, O_NONBLOCK);
	assert_int_equal(kernel_answer(k, unique | 1), -EAGAIN);
	assert_int_equal(kernel_answer(k, k->unique), -EAGAIN);
	assert_balanced(k, 64, 0);
}

static void
a_release_ends_the_reads_of_its_file(void **state)
{
	struct kernel *k = *state;
	uint64_t other = kernel_open(k, O_RDONLY, 0), fh = kernel_open(k, O_RDONLY, 0);
	uint64_t unique[3];

	for (int i = 0; i < 3; i++)
		unique[i] = kernel_read(k, i == 1 ? other : fh, 64, O_RDONLY);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, unique[0]), -EINTR);
	assert_int_equal(kernel_answer(k, unique[2]), -EINTR);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	source_put(k, 64);
	assert_read(k, unique[1], 64);
	kernel_answer(k, kernel_read(k, fh, 16, O_RDONLY));
	assert_int_equal(k->out->error, -EBADF);
	assert_balanced(k, 64, 0);
}

static void
an_answer_that_fails_is_lost_and_never_served_again(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	kernel_read(k, fh, 64, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 64);
	kernel_deaf(k, false);
	assert_silent(k);
	assert_balanced(k, 0, 64);
	unique = kernel_read(k, fh, 512, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 320);
	kernel_deaf(k, false);
	assert_silent(k);
	assert_balanced(k, 0, 64 + 320);
	source_put(k, 256);
	unique = kernel_read(k, fh, 256, O_RDONLY);
	assert_int_equal(kernel_answer(k, unique), 0);
	assert_int_equal(load_le64(k->body), 24); /* the first block after those 384 bytes */
	assert_balanced(k, 256, 384);
}

/* Neither what a long read takes beside what it gathered, nor what was not heard, is one more. */
static void
requests_are_counted_once_and_when_they_were_answered(void **state)
{
	struct kernel *k = *state;
	struct requests_status status;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	assert_read(k, kernel_read(k, fh, 0, O_RDONLY), 0);
	unique = kernel_read(k, fh, 4096, O_RDONLY);
	source_put(k, 1024);
	assert_read(k, unique, 1024);
	requests_status(k->requests, &status);
	assert_int_equal(status.account.requests, 1);
	kernel_read(k, fh, 4096, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 320);
	kernel_deaf(k, false);
	requests_status(k->requests, &status);
	assert_int_equal(status.account.requests, 1);
	assert_balanced(k, 1024, 320);
}

static void
poll_is_answered_at_once_and_notified_later(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_poll(k, fh, 77, false), 0);
	source_put(k, 16);
	assert_silent(k); /* nobody sleeps */
	assert_int_equal(kernel_poll(k, fh, 77, true), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 16, O_NONBLOCK), 16);
	assert_int_equal(kernel_poll(k, fh, 77, true), 0);
	source_put(k, 64);
	assert_notified(k, 77);
	assert_int_equal(kernel_poll(k, fh, 77, false), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 64);
}

static void
an_edge_triggered_poller_hears_of_every_edge(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	source_put(k, 16);
	assert_int_equal(kernel_poll(k, fh, 5, true), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 16);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 256, O_NONBLOCK)), -EAGAIN);
	source_put(k, 64); /* no other poll in between */
	assert_notified(k, 5);
}

static void
an_armed_poll_has_its_bytes_to_itself(void **state)
{
	struct kernel *k = *state;
	uint64_t poller = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);
	uint64_t thief = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_poll(k, poller, 1, true), 0);
	source_put(k, 64);
	assert_notified(k, 1);
	assert_int_equal(kernel_answer(k, kernel_read(k, thief, 64, O_NONBLOCK)), -EAGAIN);
	assert_read(k, kernel_read(k, poller, 64, O_NONBLOCK), 64);
}

static void
a_released_poll_is_never_notified(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_int_equal(kernel_poll(k, fh, 9, true), 0);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	source_put(k, 64);
	assert_silent(k);
}

static void
polls_beyond_the_limit_are_notified_in_their_turn(void **state)
{
	struct kernel *k = *state;
	unsigned heard = 0;

	/* One uid may hold 16 of the 64 waiters: 24 polls want a place. */
	for (uint64_t kh = 0; kh < 24; kh++)
		assert_int_equal(kernel_poll(k, kernel_open(k, O_RDONLY, 0), kh + 1, true), 0);
	for (int i = 0; i < 24; i++)
		source_put(k, 64);
	while (kernel_hear(k))
		heard++;
	assert_int_equal(heard, 24);
}

static void
reads_beyond_the_limit_get_eagain(void **state)
{
	struct kernel *k = *state;
	uint64_t unique = 0, fh = kernel_open(k, O_RDONLY, 0);

	for (int i = 0; i < 16; i++)
		unique = kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_RDONLY)), -EAGAIN);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
}

static void
the_pool_is_counted_in_bits(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);
	int bits;

	source_put(k, 4096);
	assert_int_equal(kernel_ioctl(k, fh, RNDGETENTCNT, sizeof(bits)), 0);
	assert_int_equal(k->body_len, sizeof(struct fuse_ioctl_out) + sizeof(bits));
	memcpy(&bits, k->body + sizeof(struct fuse_ioctl_out), sizeof(bits));
	assert_int_equal(bits, 32768);
	assert_int_equal(kernel_ioctl(k, fh, RNDGETENTCNT, 0), -EINVAL);
}

static void
nobody_adds_or_discards_entropy(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_int_equal(kernel_ioctl(k, fh, RNDADDENTROPY, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDADDTOENTCNT, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDZAPENTCNT, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDCLEARPOOL, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDRESEEDCRNG, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, 0x5401, 0), -EINVAL);
}

static void
the_table_says_all_that_is_pending(void **state)
{
	struct kernel *k = *state;
	const struct table *t = requests_table(k->requests);
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 200, O_RDONLY);
	kernel_poll(k, fh, 4711, true);
	assert_int_equal(t->reads_pending, 1);
	assert_int_equal(t->reads[0].unique, unique);
	assert_int_equal(t->reads[0].file, fh);
	assert_int_equal(t->reads[0].asked, 200);
	assert_int_equal(t->files[fh].uid, 1000);
	assert_true(t->files[fh].poll_wanted);
	assert_int_equal(t->files[fh].poll_handle, 4711);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_int_equal(t->reads_pending, 0);
}

/* ---- never twice ---- */

struct chaos {
	uint64_t random;
	uint64_t fh[8];
	bool open[8];
	uint64_t unique[8]; /* a read that may be pending there, or 0 */
};

static unsigned
chaos_next(struct chaos *c, unsigned below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (unsigned)(c->random >> 33) % below;
}

/* Reads all answers; opens learn their number, data must be fresh. */
static void
chaos_hear(struct kernel *k, uint64_t open_unique, struct chaos *c, unsigned slot)
{
	struct fuse_open_out out;

	while (kernel_hear(k)) {
		if (open_unique != 0 && k->out->unique == open_unique) {
			assert_int_equal(k->out->error, 0);
			memcpy(&out, k->body, sizeof(out));
			c->fh[slot] = out.fh;
			c->open[slot] = true;
		} else if (k->out->unique != 0 && k->out->error == 0 && k->body_len >= 16 &&
			   k->body_len % 16 == 0 && load_le64(k->body + 8) == ~load_le64(k->body)) {
			assert_fresh(k);
		} else {
			assert_in_set((unsigned long)-k->out->error,
				      ((unsigned long[]){0, EAGAIN, EINTR, -FUSE_NOTIFY_POLL}), 4);
		}
	}
}

static void
chaos_step(struct kernel *k, struct chaos *c)
{
	unsigned slot = chaos_next(c, 8);
	struct fuse_open_in open_in = {.flags = O_RDONLY};
	struct fuse_poll_in poll_in = {.fh = c->fh[slot], .kh = slot + 1, .flags = 1};
	uint64_t opened = 0;
	bool deaf = false;

	if (!c->open[slot]) {
		opened = kernel_ask(k, FUSE_OPEN, &open_in, sizeof(open_in));
	} else {
		switch (chaos_next(c, 10)) {
		case 0:
			kernel_release(k, c->fh[slot]);
			c->open[slot] = false;
			break;
		case 1:
			kernel_interrupt(k, c->unique[slot] != 0 ? c->unique[slot] : 2);
			break;
		case 2:
			kernel_ask(k, FUSE_POLL, &poll_in, sizeof(poll_in));
			break;
		case 3:
			deaf = true; /* what is put now may be granted and lost */
			break;
		default:
			c->unique[slot] = kernel_read(k, c->fh[slot], 16 * (1 + chaos_next(c, 40)),
						      chaos_next(c, 3) == 0 ? O_NONBLOCK : 0);
		}
	}
	chaos_hear(k, opened, c, slot);
	kernel_deaf(k, deaf);
	if (k->position + 512 < STREAM_MAX && pool_room(k->pool) >= 512)
		source_put(k, 16 * chaos_next(c, 12)); /* less than is asked for */
	kernel_deaf(k, false);
	chaos_hear(k, 0, c, slot);
}

static void
nothing_comes_out_twice_whatever_happens(void **state)
{
	struct kernel *k = *state;
	struct chaos c = {.random = 20240229};
	struct pool_totals t;

	print_message("seed %llu\n", (unsigned long long)c.random);
	for (int i = 0; i < 8000; i++)
		chaos_step(k, &c);
	requests_abandon(k->requests);
	pool_totals(k->pool, &t);
	print_message("in %llu delivered %llu lost %llu held %llu\n", (unsigned long long)t.in,
		      (unsigned long long)t.delivered, (unsigned long long)t.lost,
		      (unsigned long long)t.held);
	assert_true(t.delivered > STREAM_MAX / 4 && t.lost > 0);
	assert_int_equal(t.in, t.delivered + t.lost + t.held);
	assert_int_equal(t.waiters, 0);
	assert_int_equal(t.handles, 0);
}

#define BOTH(test) \
	{#test " (CUSE)", test, set_up, tear_down, (void *)(uintptr_t)&kinds[0]}, \
	{ \
#test " (FUSE)", test, set_up, tear_down, (void *)(uintptr_t)&kinds[1] \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(keeps_the_handshake_for_a_next_generation),
		BOTH(refuses_every_kind_of_writing),
		BOTH(says_enfile_when_no_more_files_can_be_open),
		BOTH(fuse_opens_are_streams_that_never_flush),
		BOTH(flush_is_unknown_so_that_closing_never_waits),
		BOTH(reads_what_is_there_at_once),
		BOTH(reads_of_nothing_are_empty),
		BOTH(blocking_reads_of_up_to_256_are_whole),
		BOTH(longer_blocking_reads_get_at_least_256_and_what_more_there_is),
		BOTH(no_answer_is_longer_than_the_limit),
		BOTH(nonblocking_reads_get_what_is_there_else_eagain),
		BOTH(nobody_takes_what_another_waits_for),
		BOTH(an_interrupt_without_bytes_is_eintr),
		BOTH(an_interrupt_with_bytes_delivers_them),
		BOTH(an_interrupt_that_overtakes_its_read_is_not_forgotten),
		BOTH(an_interrupt_of_an_answered_read_is_put_off),
		BOTH(a_release_ends_the_reads_of_its_file),
		BOTH(an_answer_that_fails_is_lost_and_never_served_again),
		BOTH(requests_are_counted_once_and_when_they_were_answered),
		BOTH(poll_is_answered_at_once_and_notified_later),
		BOTH(an_edge_triggered_poller_hears_of_every_edge),
		BOTH(an_armed_poll_has_its_bytes_to_itself),
		BOTH(a_released_poll_is_never_notified),
		BOTH(polls_beyond_the_limit_are_notified_in_their_turn),
		BOTH(reads_beyond_the_limit_get_eagain),
		BOTH(the_pool_is_counted_in_bits),
		BOTH(nobody_adds_or_discards_entropy),
		BOTH(the_table_says_all_that_is_pending),
		BOTH(nothing_comes_out_twice_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
