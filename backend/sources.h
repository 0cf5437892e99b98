/* SPDX-License-Identifier: MIT */
/*
 * The sources of one [source] section: one; for the address "usb" one for each plugged Entropy Key
 * without a section of its own; of several EGD servers one for each, of which all are asked, or
 * only the first that serves while the others stand by. An unplugged key keeps its source with all
 * figures, for its return.
 */
#ifndef BACKEND_SOURCES_H
#define BACKEND_SOURCES_H

#include "backend/source.h"

#define SOURCES_MAX 32 /* in one section */

struct sources;

struct sources_status {
	const char *name, *address;
	bool any;          /* it is "usb": its sources are named NAME/SERIAL */
	bool list;         /* of addresses: its sources are named NAME/1, NAME/2 and so on */
	unsigned expected; /* keys; 0: any number */
	unsigned present;
};

/* Starts at once, in the background. NULL: no memory. */
struct sources *sources_new(const struct source_env *env, const struct source_config *config);

/* Frees them all. NULLs the pointer. */
void sources_free(struct sources **sources);

/* The i-th source; NULL after the last. Good until the loop runs again. */
struct source *sources_at(const struct sources *s, size_t i);

void sources_status(const struct sources *s, struct sources_status *ret);

#endif
