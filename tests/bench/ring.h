/* SPDX-License-Identifier: MIT */
/* The keyring that a benchmark is given, or the end of the benchmark. */
#ifndef TESTS_BENCH_RING_H
#define TESTS_BENCH_RING_H

#include "backend/ekey/keyring.h"

/* Exits with a message when `path` is not a keyring with at least one key. */
struct keyring *ring_load(const char *path);
void ring_free(struct keyring **ring);

#endif
