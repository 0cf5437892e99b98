/* SPDX-License-Identifier: MIT */
/* One EGD client of many: what it asks, and how it goes, is random. */
#ifndef TESTS_SYSTEM_EGD_READER_H
#define TESTS_SYSTEM_EGD_READER_H

#include "tests/system/record.h"

/* Whether an outlet is an EGD server, unix:PATH or tcp:PORT of this machine, and not a device. */
bool egd_reader_knows(const char *outlet);

/*
 * Asks until the record is full: all kinds of requests, some at once; now and then with an end
 * behind the last one, or leaving before the answers. Ends the process with 2 when an answer is
 * not what was asked for.
 */
void egd_reader_run(struct record *r, const char *outlet);

#endif
