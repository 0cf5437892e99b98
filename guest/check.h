/* SPDX-License-Identifier: MIT */
/*
 * Whether a server answers, all the way there and back: asks for its level, which takes no entropy
 * and never waits. For monitors, and for keepalived, which moves an address.
 */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include "guest/upstreams.h"

/* One line for each that was asked, up to the first that answers. What to exit with. */
int check_run(const struct upstreams *u);

#endif
