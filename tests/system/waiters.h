/* SPDX-License-Identifier: MIT */
/* Processes that wait for a device in each way there is, read what comes, and wait again. */
#ifndef TESTS_SYSTEM_WAITERS_H
#define TESTS_SYSTEM_WAITERS_H

#define WAITERS_PATIENCE_MS 20000 /* for what has no promised time */

/* They end with this process; each that gets an error says so and ends. */
void waiters_start(const char *device);

/* Returns when each has got bytes once more; ends this process when one does not. */
void waiters_await_all(void);

/* Says what failed, and errno, and ends the process. */
_Noreturn void waiters_fail(const char *what);

double waiters_now_ms(void);

#endif
