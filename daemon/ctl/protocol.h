/* SPDX-License-Identifier: MIT */
/* Constants of both ends of the control socket. doc/protocol.md 6. */
#ifndef DAEMON_CTL_PROTOCOL_H
#define DAEMON_CTL_PROTOCOL_H

#define CTL_SOCKET_PATH "/run/ekey-random/control"
#define CTL_GREETING "PROTOCOL EKEYD/1"
#define CTL_LINE_MAX 1024 /* bytes of a line, either way, with its end */

#endif
