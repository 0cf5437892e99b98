/* SPDX-License-Identifier: MIT */
/*
 * What the next daemon must know to go on with the clients of this one: the listeners, the
 * connections, what each has asked for and not had. Numbers and requests, never a byte of entropy,
 * in a memfd that outlives us; it is true at every instruction at which we may be killed.
 *
 * Requests stay in `in` until their replies have left, so that who comes next can answer them. How
 * many bytes a socket gave or took is written here by the kernel, within the same system call
 * (recvmmsg(2), sendmmsg(2)): no kill can come between a byte and its being noted.
 */
#ifndef EGD_LEDGER_H
#define EGD_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"
#include "egd/egd_server.h"
#include "egd/proxy.h"
#include "pool/pool.h"

#ifndef LEDGER_VERSION   /* a test builds another */
#define LEDGER_VERSION 1 /* of this layout: another one is refused */
#endif
#define LEDGER_LISTENERS 16  /* as many as a configuration may have */
#define LEDGER_GUEST_MAX 108 /* bytes with the NUL: CONNECTOR_NAME_MAX */
#define LEDGER_IN_LEN \
	EGD_PROXY_MAX /* bytes: the longest PROXY header, the longest request twice \
		       */

/* Changes as a whole: what is true is one of two, and which is one store. */
struct ledger_state {
	uint32_t at, len; /* requests that are not answered, or whose replies have not all left */
	uint32_t sent;    /* bytes of these replies that have */
	uint32_t unsent;  /* bytes of the pool that were on their way */
	uint32_t fresh;   /* more of them, that nobody has tried to send yet */
	uint32_t calls;   /* that have been counted in */
};

struct ledger_client {
	uint32_t next_free; /* while free */
	int32_t fd;         /* of its socket; -1: the next daemon shall not have it */
	uint32_t listener;  /* in listeners */
	uint32_t turn;      /* which of the states is true */
	struct ledger_state states[2];
	uint32_t uid;
	struct address address;
	char guest[LEDGER_GUEST_MAX]; /* of Xen; "": none */
	uint8_t in[LEDGER_IN_LEN];    /* requests; a try that was answered asks for what it got */
};

struct ledger_listener {
	char address[EGD_ADDRESS_MAX]; /* "": free */
	int32_t fd;                    /* -1: none, or not ours to hand on */
	struct pool_account account;   /* over all generations, like the rest */
	uint64_t accepted, throttled, ended[EGD_ENDS];
};

/* The system call in hand. */
struct ledger_call {
	uint32_t what; /* enum ledger_what in ledger.c */
	uint32_t client, number;
	uint32_t answered, left, direct; /* of ledger_send() */
	struct mmsghdr message; /* the kernel writes msg_len; who comes next reads only that */
};

/* A connection between accept(2) and its record. */
struct ledger_newcomer {
	uint32_t listener;
	int32_t fd; /* that it has, once it is there; -1: none */
};

/* Records that were never used take no memory. */
struct ledger {
	uint32_t version, record_len; /* LEDGER_VERSION, bytes of a client */
	uint32_t max, used, free;     /* clients; those from `used` on were never taken */
	uint64_t pid;                 /* that replies told */
	struct ledger_call call;
	struct ledger_newcomer newcomer;
	struct ledger_listener listeners[LEDGER_LISTENERS];
	struct ledger_client clients[];
};

/* Empty, with its memfd (close-on-exec, sealed in size) in *ret_fd; or NULL with errno. */
struct ledger *ledger_new(unsigned max, int *ret_fd);

/*
 * That of a daemon which is gone, as a copy of our own. 0 with *ret, or -errno: -EPROTO of another
 * version, -EINVAL it makes no sense. The fds in it were that daemon's.
 */
int ledger_open(int fd, struct ledger **ret);

/* Unmaps; NULLs the pointer. NULL is fine. */
void ledger_free(struct ledger **ledger);

/* ---- listeners ---- */

/* NULL: there is no place. Without an fd at first. */
struct ledger_listener *ledger_listen(struct ledger *l, const char *address);

/* The counters that another daemon left; what it had granted is lost. */
void ledger_go_on_counting(struct ledger_listener *listener, const struct ledger_listener *former);

void ledger_listen_end(struct ledger_listener *listener);

/* ---- clients ---- */

/*
 * Before accept(2): what comes has the lowest fd that is free, and the next daemon takes it if we
 * do not come as far as ledger_keep(). At once after that, or before the fd is read from or closed:
 * no more of it. `any`: an open fd.
 */
void ledger_expect(struct ledger *l, const struct ledger_listener *listener, int any);
void ledger_expect_none(struct ledger *l);

/* NULL: there is no place. Nobody else will have it before ledger_keep(). */
struct ledger_client *ledger_join(struct ledger *l);

/* From now on the next daemon gets this fd. */
void ledger_keep(struct ledger *l, struct ledger_client *c, const struct ledger_listener *listener,
		 int fd);

/* It gets it no more: to be called before the fd is closed. */
void ledger_let_go(struct ledger_client *c);

void ledger_leave(struct ledger *l, struct ledger_client *c);

static inline const struct ledger_state *
ledger_state(const struct ledger_client *c)
{
	return &c->states[c->turn];
}

/*
 * Makes room for more requests, in in[state->len..), when all replies have left; in[answered..) are
 * then the ones that are not whole yet. Returns where they begin.
 */
size_t ledger_make_room(struct ledger_client *c, size_t answered);

/* Bytes of the pool are in replies now, and not sent. */
static inline void
ledger_note_taken(struct ledger_client *c, size_t len)
{
	c->states[c->turn].fresh += (uint32_t)len;
}

/* Counts in requests that came another way, by TLS. */
void ledger_note_received(struct ledger_client *c, size_t len);

/* Receives behind what is there; as recv(2), or -errno. */
ssize_t ledger_receive(struct ledger *l, struct ledger_client *c, int fd);

/*
 * Sends the replies to in[state->at..answered), of which `left` bytes are left, `direct` of them
 * the pool's; as send(2), or -errno.
 */
ssize_t ledger_send(struct ledger *l, struct ledger_client *c, int fd, const uint8_t *bytes,
		    size_t left, size_t answered, size_t direct);

/*
 * What `former`, of another daemon's ledger, has asked for and not had becomes `c`'s requests, and
 * what a reply still lacks a read of that many bytes. False: nobody can go on with it.
 */
bool ledger_renew(struct ledger_client *c, const struct ledger_client *former, uint64_t former_pid);

#endif
