/* SPDX-License-Identifier: MIT */
/*
 * Every figure of the status, in one table: a row of the command Status (daemon/status_row.h) is
 * written only when it is here, and doc/figures.md is printed from it.
 */
#ifndef DAEMON_FIGURES_H
#define DAEMON_FIGURES_H

enum figure_type {
	FIGURE_TEXT,
	FIGURE_YES_NO,
	FIGURE_GAUGE,  /* a number that can fall */
	FIGURE_COUNTER /* since the start of the daemon; of devices, of all daemons that served them
			*/
};

struct figure {
	const char *kind, *key;
	enum figure_type type;
	const char *unit;     /* NULL: none, or a count */
	const char *exported; /* its name in Prometheus' format; NULL: it has none */
	const char *help;
};

/* Ends with a NULL kind. */
extern const struct figure figures[];

/* Returns NULL when a kind has no such figure. */
const struct figure *figure_find(const char *kind, const char *key);

/* Prints the table for doc/figures.md. */
void figures_print(void);

#endif
