/* SPDX-License-Identifier: MIT */
/*
 * The connection to the kernel, of /dev/cuse or /dev/fuse, under a libfuse session. Two kinds, each
 * four functions. Failures leave a text for the log, to stand after the path.
 */
#ifndef CUSE_CONN_H
#define CUSE_CONN_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse/requests.h"

#define CONN_INIT_MS 5000 /* from the connection to the end of the handshake */
#define CONN_BATCH 64     /* requests taken before the other events of the loop get a turn */
#define CONN_PROBLEM_MAX 256

struct conn;

struct conn_kind {
	const char *name; /* "cuse", "fuse" */
	/* All before the handshake. The fd of a new connection, or -errno. */
	int (*connect)(struct conn *c);
	/* A libfuse session with the operations of this kind and `c` as its user data, or NULL. */
	struct fuse_session *(*session)(struct conn *c);
	/* After the handshake: is the device really there? Sets its mode. 0 or -errno. */
	int (*publish)(struct conn *c);
	/* Undoes connect() and publish(); the connection is closed already. */
	void (*withdraw)(struct conn *c);
};

extern const struct conn_kind conn_cuse, conn_fuse;

struct conn {
	const struct conn_kind *kind;
	const char *path; /* resolved; outlives the connection */
	mode_t mode;
	struct requests *requests;
	struct fuse_session *session; /* NULL: closed */
	int fd;                       /* the session's */
	int null_fd;                  /* replaces fd, to end the connection from another thread */
	bool initialised;             /* the handshake is over */
	bool mode_is_udevs;           /* we may not set it: see cuse_set_mode() */
	bool mute;                    /* answers are dropped: INIT is replayed */
	uint64_t unique;              /* of the present request */
	uint64_t poll_handle;         /* of the present poll */
	char problem[CONN_PROBLEM_MAX];
};

/*
 * Connects, shakes hands (at most CONN_INIT_MS) and publishes. 0, or -errno with c->problem and
 * everything undone. kind, path, mode and requests are set; the rest is zero.
 */
int conn_open(struct conn *c);

/*
 * The same for the connection `fd` of a previous daemon, whose table the requests have. Its
 * handshake, its pending reads and its unfinished request go through libfuse a second time, as if
 * they came only now; its polls are woken. Takes `fd`. 0, or -errno with c->problem, and the
 * connection is closed, but not withdrawn.
 */
int conn_resume(struct conn *c, int fd);

/* Closes the connection, then withdraws. Blocked readers get ECONNABORTED. */
void conn_close(struct conn *c);

/* Makes the session on `fd`, which it takes; ends it. Without connect, publish and withdraw. */
int conn_attach(struct conn *c, int fd);
void conn_detach(struct conn *c);

/* For the kinds: opens a file and answers with FOPEN_* in `answer_flags`, or with an error. */
void conn_open_file(const struct conn *c, fuse_req_t req, int flags, uint32_t answer_flags);

/* Answers the queued requests, up to CONN_BATCH. 0, or -errno: the connection has ended. */
int conn_drain(struct conn *c);

/*
 * Ends the connection from any thread, at once, without a lock, although another thread may hang
 * in the middle of a request. Only conn_close() may follow.
 */
void conn_abort(const struct conn *c);

/* Keeps the text for the log and returns `error`. */
int conn_fail(struct conn *c, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
