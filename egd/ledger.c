/* SPDX-License-Identifier: MIT */
#include "egd/ledger_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEDGER_NONE UINT32_MAX
#define LEDGER_PAGE 4096

/* As in cuse/table.c: a kill comes between two instructions, so that only the compiler is held. */
static void
ledger_commit(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* ---- the memory ---- */

size_t
ledger_len(size_t max)
{
	return sizeof(struct ledger) + max * sizeof(struct ledger_client);
}

/*
 * Who is being killed may not bring in a page that is not there: what the kernel counts into the
 * call in hand has to find it. Best effort: a page more than RLIMIT_MEMLOCK is not worth a word.
 */
static_assert(offsetof(struct ledger, call) + sizeof(struct ledger_call) <= LEDGER_PAGE,
	      "the call in hand lies in the first page");

static void
ledger_hold_call(struct ledger *l)
{
	(void)mlock(l, LEDGER_PAGE);
}

int
ledger_map(int fd, size_t len, int how, struct ledger **ret)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, how, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

static int
ledger_create(size_t len, struct ledger **ret)
{
	int result, fd = memfd_create("ekey-random ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) != 0 || fcntl(fd, F_ADD_SEALS, LEDGER_SEALS) != 0)
		result = -errno;
	else
		result = ledger_map(fd, len, MAP_SHARED, ret);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

struct ledger *
ledger_new(unsigned max, int *ret_fd)
{
	struct ledger *l = NULL;
	int fd = ledger_create(ledger_len(max), &l);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	ledger_hold_call(l);
	l->version = LEDGER_VERSION;
	l->record_len = sizeof(struct ledger_client);
	l->max = max;
	l->free = LEDGER_NONE;
	l->pid = (uint64_t)getpid();
	l->newcomer.fd = -1;
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++)
		l->listeners[i].fd = -1;
	*ret_fd = fd;
	return l;
}

void
ledger_free(struct ledger **ledger)
{
	if (*ledger != NULL)
		munmap(*ledger, ledger_len((*ledger)->max));
	*ledger = NULL;
}

/* ---- state ---- */

void
ledger_change(struct ledger_client *c, const struct ledger_state *next)
{
	c->states[!c->turn] = *next;
	ledger_commit();
	c->turn = !c->turn;
}

size_t
ledger_make_room(struct ledger_client *c, size_t answered)
{
	struct ledger_state next = *ledger_state(c);
	size_t rest = next.len - answered;

	next.at = (uint32_t)answered;
	next.sent = next.unsent = next.fresh = 0;
	ledger_change(c, &next);
	if (rest > answered) /* then there is room behind it for the longest request */
		return answered;
	memcpy(c->in, c->in + answered, rest);
	ledger_commit();
	next.at = 0;
	next.len = (uint32_t)rest;
	ledger_change(c, &next);
	return 0;
}

void
ledger_note_received(struct ledger_client *c, size_t len)
{
	struct ledger_state next = *ledger_state(c);

	next.len += (uint32_t)len;
	ledger_change(c, &next);
}

/* ---- the call in hand ---- */

void
ledger_count_in(struct ledger *l)
{
	const struct ledger_call *call = &l->call;
	struct ledger_client *c = &l->clients[call->client];
	struct ledger_state next = *ledger_state(c);
	uint32_t n = call->message.msg_len;

	if (next.calls == call->number)
		return;
	next.calls = call->number;
	if (call->what == LEDGER_RECEIVE) {
		next.len += n;
	} else if (n == call->left) {
		next.at = call->answered;
		next.sent = next.unsent = next.fresh = 0;
	} else {
		next.sent += n;
		next.fresh = 0;
		next.unsent = call->direct < call->left - n ? call->direct : call->left - n;
	}
	ledger_change(c, &next);
}

static void
ledger_begin(struct ledger *l, const struct ledger_client *c, enum ledger_what what,
	     struct iovec *bytes)
{
	struct ledger_call *call = &l->call;

	call->client = (uint32_t)(c - l->clients);
	call->number = ledger_state(c)->calls + 1;
	call->message = (struct mmsghdr){.msg_hdr = {.msg_iov = bytes, .msg_iovlen = 1}};
	ledger_commit();
	call->what = what;
	ledger_commit();
}

static ssize_t
ledger_end(struct ledger *l, int result, int error)
{
	ledger_commit();
	ledger_count_in(l);
	ledger_commit();
	l->call.what = LEDGER_NOTHING;
	ledger_commit();
	return result < 0 ? -error : (ssize_t)l->call.message.msg_len;
}

ssize_t
ledger_receive(struct ledger *l, struct ledger_client *c, int fd)
{
	uint32_t len = ledger_state(c)->len;
	struct iovec bytes = {c->in + len, sizeof(c->in) - len};
	int result;

	ledger_begin(l, c, LEDGER_RECEIVE, &bytes);
	result = recvmmsg(fd, &l->call.message, 1, 0, NULL);
	return ledger_end(l, result, errno);
}

ssize_t
ledger_send(struct ledger *l, struct ledger_client *c, int fd, const uint8_t *bytes, size_t left,
	    size_t answered, size_t direct)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, left};
	int result;

	l->call.answered = (uint32_t)answered;
	l->call.left = (uint32_t)left;
	l->call.direct = (uint32_t)direct;
	ledger_begin(l, c, LEDGER_SEND, &iov);
	result = sendmmsg(fd, &l->call.message, 1, MSG_NOSIGNAL);
	return ledger_end(l, result, errno);
}

/* ---- listeners ---- */

struct ledger_listener *
ledger_listen(struct ledger *l, const char *address)
{
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++) {
		struct ledger_listener *listener = &l->listeners[i];

		if (listener->address[0] != '\0')
			continue;
		*listener = (struct ledger_listener){.fd = -1};
		memcpy(listener->address, address, strnlen(address, EGD_ADDRESS_MAX - 1));
		return listener;
	}
	return NULL;
}

void
ledger_go_on_counting(struct ledger_listener *listener, const struct ledger_listener *former)
{
	listener->account = former->account;
	listener->account.lost += former->account.granted;
	listener->account.granted = 0;
	listener->accepted = former->accepted;
	listener->throttled = former->throttled;
	memcpy(listener->ended, former->ended, sizeof(listener->ended));
}

void
ledger_listen_end(struct ledger_listener *listener)
{
	listener->fd = -1;
	ledger_commit();
	listener->address[0] = '\0';
}

/* ---- clients ---- */

void
ledger_expect(struct ledger *l, const struct ledger_listener *listener, int any)
{
	int lowest = fcntl(any, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		return;
	close(lowest);
	l->newcomer.listener = (uint32_t)(listener - l->listeners);
	ledger_commit();
	l->newcomer.fd = lowest;
	ledger_commit();
}

void
ledger_expect_none(struct ledger *l)
{
	l->newcomer.fd = -1;
	ledger_commit();
}

struct ledger_client *
ledger_join(struct ledger *l)
{
	struct ledger_client *c;

	if (l->free != LEDGER_NONE) {
		c = &l->clients[l->free];
		l->free = c->next_free;
	} else if (l->used < l->max) {
		c = &l->clients[l->used];
		c->fd = -1;
		ledger_commit();
		l->used++;
	} else {
		return NULL;
	}
	c->turn = 0;
	c->states[0] = (struct ledger_state){0};
	c->uid = 0;
	c->address = (struct address){0};
	memset(c->guest, 0, sizeof(c->guest));
	return c;
}

void
ledger_keep(struct ledger *l, struct ledger_client *c, const struct ledger_listener *listener,
	    int fd)
{
	c->listener = (uint32_t)(listener - l->listeners);
	ledger_commit();
	c->fd = fd;
	ledger_commit();
	if (l->newcomer.fd == fd)
		ledger_expect_none(l);
}

void
ledger_let_go(struct ledger_client *c)
{
	c->fd = -1;
	ledger_commit();
}

void
ledger_leave(struct ledger *l, struct ledger_client *c)
{
	ledger_let_go(c);
	c->next_free = l->free;
	l->free = (uint32_t)(c - l->clients);
}
