/* SPDX-License-Identifier: MIT */
/*
 * The parts of the daemon that sections of the configuration describe: sources, and outlets of the
 * pool. Each kind has one set of functions; start, retry, reload, status, stop and the answer to a
 * clone loop over them, so that a new outlet is a file with these, its section and its keys. A part
 * that cannot be started is tried again; the others serve meanwhile.
 */
#ifndef DAEMON_PARTS_H
#define DAEMON_PARTS_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct daemon;

/* In the order in which they start: with the first byte of a source all outlets are there. */
enum part_kind { PART_DEVICE, PART_AGENT, PART_KERNEL, PART_LISTEN, PART_SOURCE, PART_KINDS };

#define PARTS_MAX 16 /* of a kind */

/* By its place among the sections of its kind in the configuration. */
struct part {
	void *running; /* of the kind's own type; NULL: it does not run */
	int error;     /* of the last try to start it: -errno, or one of these; 0: none failed */
};

#define PART_UNPRIVILEGED 0 /* from start(): it is to be started without privileges */
#define PART_NEVER 1        /* this machine cannot have it: it is tried again after a reload only */

/* All but `section`, start, stop and status may be NULL. `i`: the place of the part. */
struct part_functions {
	const char *section;
	bool privileged; /* these start before privileges are dropped */

	/* First of all, before the loop: starts helpers. False after a line in the log. */
	bool (*begin)(struct daemon *d);

	/* Before each start of parts of this kind. False after a line in the log: try again later.
	 */
	bool (*prepare)(struct daemon *d);

	/* 0 with *ret; else as in struct part, after a line in the log. */
	int (*start)(struct daemon *d, size_t i, void **ret);

	/* Lets a part run on by the section `i` of `next`. False: it cannot, and is stopped. */
	bool (*change)(struct daemon *d, void *running, const struct config *next, size_t i);

	/* Stops one that runs. While d->restarting it leaves what the next daemon resumes. */
	void (*stop)(struct daemon *d, size_t i, void *running);

	/* After all of the kind: ends what they shared. */
	void (*finish)(struct daemon *d);

	/* Discards all that other clones of this machine may have. Returns connections it closed.
	 */
	unsigned (*invalidate)(void *running);

	/* Writes rows; `running` is NULL while the part waits. */
	void (*status)(const struct daemon *d, size_t i, const void *running, struct evbuffer *out);

	/* Whether the machine has what the section names; false after a line in the log. */
	bool (*check)(const struct config *config, size_t i);
};

/* First of all: starts helpers. False after a line in the log. */
bool parts_begin(struct daemon *d);

/*
 * Start what d->config has and does not run yet: of a new daemon those that need privileges, then
 * the others; later all. False when a part has to be tried again; parts_start() does that itself.
 */
bool parts_start_privileged(struct daemon *d);
bool parts_start_others(struct daemon *d);
void parts_start(struct daemon *d);

/* Parts that are the same in `next` run on, in their places there; the others stop. */
void parts_keep(struct daemon *d, const struct config *next);

void parts_stop(struct daemon *d);

/* Discards what clones may have: of the sources, the pool, the outlets. Returns closed connections.
 */
unsigned parts_invalidate(struct daemon *d);

void parts_status(const struct daemon *d, struct evbuffer *out);
bool parts_check(const struct config *config);

#endif
