/* SPDX-License-Identifier: MIT */
/* What the tests of the session have in common: one host, made before each test. */
#ifndef TESTS_UNIT_SESSION_RIG_H
#define TESTS_UNIT_SESSION_RIG_H

#include "tests/unit/host.h"

extern struct host h;

int rig_set_up(void **unused);
int rig_tear_down(void **unused);

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

const struct session_counters *counted(void);
void assert_state(enum session_state state);

/* The session stands, and the next block comes through. */
void assert_still_keyed(void);

/* An entropy frame that was damaged on the way. */
void feed_damaged(void);

#endif
