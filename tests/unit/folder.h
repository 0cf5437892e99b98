/* SPDX-License-Identifier: MIT */
/* A directory of a test's own. */
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

#include <stdbool.h>

#define FOLDER_MAX 64 /* a socket's path in it still fits */

/*
 * Makes it in TMPDIR, which who runs the tests clears, for a test that is killed clears nothing;
 * else in /tmp. Removing it is the test's. False: errno.
 */
bool folder_make(char ret[FOLDER_MAX]);

#endif
