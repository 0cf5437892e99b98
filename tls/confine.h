/* SPDX-License-Identifier: MIT */
/* What ekey-tls gives up before it sees a stranger's first byte. */
#ifndef TLS_CONFINE_H
#define TLS_CONFINE_H

#include <stdbool.h>

#include "priv/tls_channel.h"

#define CONFINE_DIRECTORIES (4 * TLS_SECTIONS_MAX) /* four files of each section */

/*
 * From now on only what lies below these directories can be opened, and only to be read; "" ends
 * the list. Where the kernel has no Landlock (before 5.13) the files' own modes have to do. False
 * after a line in the log.
 */
bool confine(const char directories[static CONFINE_DIRECTORIES][TLS_PATH_MAX]);

#endif
