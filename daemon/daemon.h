/* SPDX-License-Identifier: MIT */
/* The running daemon: starts all parts in order, stops them in reverse, changes them on reload. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend/sources.h"
#include "backend/usb.h"
#include "base/log.h"
#include "ctl/server.h"
#include "cuse/device.h"
#include "daemon/config.h"
#include "daemon/connectors.h"
#include "daemon/notify.h"
#include "daemon/orders.h"
#include "egd/egd_server.h"
#include "egd/estate.h"
#include "ekey/keyring.h"
#include "kernel/feed.h"
#include "pool/pool.h"
#include "priv/cloned.h"

#define DAEMON_SIGNALS 4

struct agent;

struct daemon {
	const char *config_path;
	struct config config; /* in force */
	uint64_t started_ms;
	struct event_base *base;
	struct event *signals[DAEMON_SIGNALS];
	struct pool *pool;
	size_t pool_size;      /* bytes; config.pool_size may have changed since */
	unsigned pool_clients; /* of listeners, that it was made for */
	struct keyring *keyring;
	const struct keyring *keyring_seen; /* the same; what sources look at */
	struct source_env source_env;
	unsigned credit; /* bits per byte that the pool's bytes deserve: the least of their sources'
			  */
	struct usb *usb;
	struct sources *sources[CONFIG_SOURCES_MAX]; /* as config.sources; NULL: no memory for it */
	struct handover *handover;                   /* NULL: no parent keeps anything */
	struct estate *estate;                       /* clients that outlive us */
	struct device *devices[CONFIG_DEVICES_MAX];  /* as config.devices; NULL: not published */
	struct agent *agent;                         /* NULL: not configured, or it cannot listen */
	bool drained;                                /* by order: HAProxy is told to send nobody */
	struct pool_account seeds;                   /* see daemon/seeds.h */
	LIST_HEAD(, seed) seeds_waiting;
	struct connector connectors[CONFIG_LISTENS_MAX];
	struct cloned cloned;
	struct event *clone_news;  /* of it */
	struct event *clone_floor; /* pending after a renewal by news */
	const char *clone_text;    /* news that waits for it; NULL: none */
	struct log_limit clone_limit;
	uint64_t renewals;                              /* see daemon/clones.h */
	int keeper;                                     /* with [kernel] at the start; -1: none */
	struct kernel_feed *kernel;                     /* NULL: not fed */
	struct egd_server *listens[CONFIG_LISTENS_MAX]; /* as config.listens; NULL: not there */
	struct ctl_server *control;
	struct notify_watchdog *watchdog;
	struct orders_rekey rekey;
	bool leaving; /* another daemon goes on with the devices */
};

/*
 * Runs with the configuration in `config_path` until a signal ends it. The exit status: 0, or 1
 * when it could not start, after the line in the log that says why. `parent` is the socket to who
 * keeps our devices, -1: nobody does.
 */
int daemon_run(const char *config_path, int parent);

/* Reads the configuration and the keyring it names; the log has what is wrong. */
bool daemon_check(const char *config_path);

#endif
