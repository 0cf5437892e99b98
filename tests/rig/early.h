/* SPDX-License-Identifier: MIT */
/*
 * What the first programs of guests in QEMU share, who are alone in their initial memory.
 */
#ifndef TESTS_RIG_EARLY_H
#define TESTS_RIG_EARLY_H

/* Says why on the console, and powers off. */
_Noreturn void early_give_up(const char *what);

/* Makes the folder `at`. It may be mounted already. Gives up on any error, as do the others. */
void early_mount(const char *type, const char *what, const char *at);

/* Those that /modules lists, in its order. */
void early_load_modules(void);

#endif
