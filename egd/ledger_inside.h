/* SPDX-License-Identifier: MIT */
/* What ledger.c, our own ledger, and ledger_former.c, that of another daemon, share. */
#ifndef EGD_LEDGER_INSIDE_H
#define EGD_LEDGER_INSIDE_H

#include <fcntl.h>

#include "egd/ledger.h"

#define LEDGER_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

enum ledger_what { LEDGER_NOTHING, LEDGER_RECEIVE, LEDGER_SEND };

/* Bytes of a ledger with so many places. */
size_t ledger_len(size_t max);

/* `how`: MAP_SHARED, or MAP_PRIVATE for a copy. 0 or -errno. */
int ledger_map(int fd, size_t len, int how, struct ledger **ret);

/* The other one of the two states becomes true. */
void ledger_change(struct ledger_client *c, const struct ledger_state *next);

/* What the call in hand did is counted in once, by us or by who comes after us. */
void ledger_count_in(struct ledger *l);

#endif
