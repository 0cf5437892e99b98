/* SPDX-License-Identifier: MIT */
/*
 * A helper is a process for one kind of privileged, slow or risky act, for a daemon that gives up
 * its privileges and must not wait. It is this program (/proc/self/exe), executed again in a role,
 * so that it has no copy of the daemon's memory and no file but its socket and stderr. It takes
 * requests of one size, each answered once and in order, keeps at most one capability, and can make
 * only the system calls of its role. It ends when its socket is closed; signals to a process group
 * do not end it.
 */
#ifndef LIB_PRIV_HELPER_H
#define LIB_PRIV_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/priv/sandbox.h"

#define HELPER_MESSAGE_MAX 2048 /* bytes of a request or an answer */
#define HELPER_NO_CAPABILITY (-1)

struct helper_role {
	const char *name; /* of the process, up to 15 characters */
	const char *does; /* for people: the acts and their limits */
	int capability;   /* its number in <linux/capability.h>, or HELPER_NO_CAPABILITY */
	size_t request_size, answer_size;
	unsigned timeout_s; /* of a request; a helper that takes longer is killed */
	struct sandbox sandbox;
	/* Runs first, with all privileges: an fd for act(), 0, or -errno. NULL: not needed. */
	int (*prepare)(const char *argument);
	/*
	 * Acts. `prepared` is the result of prepare(), or -errno when the helper could not be
	 * confined: then it must do nothing and answer with that. `fd` came with the request (-1:
	 * none); *ret_fd goes with the answer; the caller closes both. False: the request is not
	 * allowed, and the helper ends.
	 */
	bool (*act)(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd);
};

struct helper {
	const struct helper_role *role;
	int fd; /* readable when there is an answer, or the helper has ended; -1: there is none */
	int pidfd;               /* -1: there is none */
	uint32_t sent, received; /* numbers of messages */
};

#define HELPER_NONE ((struct helper){.fd = -1, .pidfd = -1})

/*
 * The first call of main() in each program that starts helpers: does not return in a helper.
 * `roles` ends with NULL.
 */
void helper_main(const struct helper_role *const roles[], char *const argv[]);

/*
 * Starts a helper. Root's helper becomes `user` (NULL: stays root); any other has the user of this
 * process. A role with a capability must be started before this process gives that up. 0 or -errno;
 * an error in the helper is in its answers. -ENOSYS in a program without helper_main().
 */
int helper_start(struct helper *ret, const struct helper_role *role, const char *user,
		 const char *argument);

/*
 * Starts another program that ends with its socket, which is descriptor `at` there. It has no role:
 * helper_stop() and helper_release() are all that is for it. 0 or -errno.
 */
int helper_spawn(struct helper *ret, const char *program, const char *const argv[], int at);

/* Sends a request, with `fd` unless that is -1; does not wait. 0 or -errno; -EPIPE: there is
 * no helper. */
int helper_send(struct helper *helper, const void *request, int fd);

/*
 * Receives the next answer. 0; -EAGAIN: not yet; -EPIPE: the helper has ended, or sent no valid
 * answer. *ret_fd (close-on-exec) is the caller's; -1: none came.
 */
int helper_receive(struct helper *helper, void *ret_answer, int *ret_fd);

/* Whether all requests are answered. */
bool helper_is_idle(const struct helper *helper);

/*
 * Sends, and waits for the answer; kills the helper when none comes in time: -ETIMEDOUT. ret_fd: as
 * of helper_receive(); NULL: none is wanted.
 */
int helper_call(struct helper *helper, const void *request, void *ret_answer, int *ret_fd);

/* Starts a helper for one request, sent with `fd` as above. 0 or -errno. */
int helper_begin(struct helper *ret, const struct helper_role *role, const void *request, int fd);

/* Receives its answer, without an fd, and stops it. As helper_receive(). */
int helper_finish(struct helper *helper, void *ret_answer);

/* Kills the helper; does nothing with HELPER_NONE. */
void helper_stop(struct helper *helper);

/* Lets the helper finish its requests, and end. */
void helper_release(struct helper *helper);

#endif
