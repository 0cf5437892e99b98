/* SPDX-License-Identifier: MIT */
/*
 * Promises of the device to the programs that read it, each a function that keeps to system calls.
 * The same promises are held on CUSE and on FUSE.
 */
#ifndef TESTS_SYSTEM_PROBE_H
#define TESTS_SYSTEM_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a promise is tried with. */
struct probe {
	const char *device;
	pid_t source; /* the simulated key: stopped, the device runs dry; continued, it flows */
	bool fuse;    /* the carrier is a FUSE file, which differs where DEVICE says so */
};

struct promise {
	const char *name;
	/* NULL when kept, else what was got and wanted. */
	const char *(*try)(const struct probe *p);
	bool dry; /* tried with nothing in the device and the source stopped */
};

/* Each table ends with a NULL name. */
extern const struct promise read_promises[], wait_promises[];

/* A complaint, in memory that the next call reuses. */
const char *complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "got N (errno), wanted WANTED" for a call that returned n. */
const char *complain_call(const char *call, ssize_t n, const char *wanted);

/* Opens the device to read; ends the process when that fails. */
int probe_open(const struct probe *p, int flags);

double probe_now_ms(void);

#endif
