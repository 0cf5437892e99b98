/* SPDX-License-Identifier: MIT */
/* The running daemon: starts all parts in order, stops them in reverse, changes them on reload. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend/ekey/keyring.h"
#include "backend/sources.h"
#include "backend/usb/usb.h"
#include "cuse/device.h"
#include "daemon/cmd_rekey.h"
#include "daemon/config.h"
#include "daemon/ctl/server.h"
#include "daemon/kernel_feed.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/parts.h"
#include "daemon/retry.h"
#include "daemon/starts.h"
#include "daemon/tls_process.h"
#include "egd/server/egd_server.h"
#include "lib/log.h"
#include "lib/priv/vm_clone.h"
#include "pool/pool.h"

#define DAEMON_SIGNALS 4

struct daemon {
	const char *config_path;
	struct config config; /* in force */
	const char *user;     /* to become; NULL: none */
	uint64_t started_ms;
	struct event_base *base;
	struct event *signals[DAEMON_SIGNALS];
	struct pool *pool;
	size_t pool_size;      /* bytes; config.pool_size may have changed since */
	unsigned pool_clients; /* of listeners, that it was made for */
	struct keyring *keyring;
	const struct keyring *keyring_seen; /* the same, for sources */
	struct source_env source_env;
	unsigned credit; /* bits per byte that the pool's bytes deserve: the least of their sources'
			  */
	struct usb *usb;
	struct part parts[PART_KINDS][PARTS_MAX];
	struct retry retry;
	bool privileged;        /* until they are dropped */
	struct fd_store *store; /* descriptors that outlive this process */
	struct starts starts;
	struct event *healthy;     /* this start has succeeded */
	bool drained;              /* by order: HAProxy sends no new clients */
	struct pool_account seeds; /* see daemon/cmd_seed.h */
	LIST_HEAD(, seed) seeds_waiting;
	struct connector connectors[PARTS_MAX];
	int previous[PARTS_MAX]; /* listening sockets of the previous daemon, while listeners start
				  */
	struct vm_clone cloned;
	struct event *clone_news;  /* of it */
	struct event *clone_floor; /* pending after a renewal by news */
	const char *clone_text;    /* news that waits for it; NULL: none */
	struct log_limit clone_limit;
	uint64_t renewals; /* see daemon/clones.h */
	struct helper rng; /* with credit = yes at the start */
	struct tls_process tls;
	struct ctl_server *control;
	struct notify_watchdog *watchdog;
	struct cmd_rekey rekey;
	bool restarting; /* the next daemon resumes the devices and listening sockets */
};

/* Exit statuses that the unit has rules for (sysexits.h). */
#define DAEMON_EXIT_FAILED 1
#define DAEMON_EXIT_RESTART 75 /* start the next one: it resumes what is in the store */
#define DAEMON_EXIT_CONFIG 78  /* the configuration is wrong, and nothing waits to be resumed */

/*
 * Runs with the configuration in `config_path` until a signal ends it. The exit status: 0, or one
 * of the above; of a failure after the line in the log that says why.
 */
int daemon_run(const char *config_path);

/* Reads the configuration and the keyring it names; the log has what is wrong. */
bool daemon_check(const char *config_path);

#endif
