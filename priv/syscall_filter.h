/* SPDX-License-Identifier: MIT */
/* The filter of system calls of a sandbox, by libseccomp; syscall_filter_none.c: without one. */
#ifndef PRIV_SYSCALL_FILTER_H
#define PRIV_SYSCALL_FILTER_H

#include "priv/sandbox.h"

/* 0 or -errno, as sandbox_enter(), whose last step this is. */
int syscall_filter_load(const struct sandbox *sandbox);

#endif
