/* SPDX-License-Identifier: MIT */
/* The drop-in of a unit that a configuration needs. */
#ifndef DAEMON_EKEYCTL_UNIT_H
#define DAEMON_EKEYCTL_UNIT_H

#include "daemon/config.h"

#define UNIT_DROP_IN "/etc/systemd/system/ekey-randomd.service.d/ekey-random.conf"
#define UNIT_CURE \
	"ekeyctl unit >" UNIT_DROP_IN \
	" && systemctl daemon-reload && systemctl restart ekey-randomd"

/*
 * The drop-in of ekey-randomd.service; "": none is needed. To be freed; NULL: no memory, or a value
 * that no unit file can have, after a line.
 */
char *unit_text(const struct config *config);

/* Whether two drop-ins say the same to systemd, in the same order. */
bool unit_texts_equal(const char *a, const char *b);

#endif
