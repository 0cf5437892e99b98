/* SPDX-License-Identifier: MIT */
/*
 * A thread that checks, from time to time, that the event loop still turns, and ends our connection
 * to the kernel when it does not: readers whose requests a hanging process has taken cannot even be
 * killed. It checks only while reads are pending, and sleeps without any wake-up otherwise.
 */
#ifndef CUSE_WATCHDOG_H
#define CUSE_WATCHDOG_H

#include <event2/event.h>
#include <stdbool.h>

struct watchdog;

struct watchdog_config {
	unsigned limit_ms; /* between two questions, and for one answer */
	/* On the loop: are reads pending? While they are, the watch goes on by itself. */
	bool (*needed)(void *arg);
	/* On the watchdog's thread: the loop hangs. Called once; must not wait for the loop. */
	void (*abort)(void *arg);
	/* On the loop, when it turns again after that. May stop the watchdog. */
	void (*revived)(void *arg);
	void *arg;
};

/* 0 with *ret, or -errno. */
int watchdog_start(struct event_base *base, const struct watchdog_config *config,
		   struct watchdog **ret);

/* Reads may be pending from here on. Free of cost when the watch is on already. */
void watchdog_watch(struct watchdog *w);

/* Ends the thread, NULLs the pointer. */
void watchdog_stop(struct watchdog **watchdog);

#endif
