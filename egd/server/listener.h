/* SPDX-License-Identifier: MIT */
/*
 * The address of a [listen] section, and its listening socket:
 *     unix:PATH   tcp:ADDRESS:PORT   tls:ADDRESS:PORT   vsock:PORT   systemd:NAME   xen:DIRECTORY
 * ADDRESS is numeric: V4, [V6], or [::] for all of both; NAME is a FileDescriptorName= of systemd.
 */
#ifndef EGD_SERVER_LISTENER_H
#define EGD_SERVER_LISTENER_H

#include <stdbool.h>

#include "egd/server/egd_server.h"

enum egd_listen_kind {
	EGD_LISTEN_UNIX,
	EGD_LISTEN_TCP,
	EGD_LISTEN_TLS,
	EGD_LISTEN_VSOCK,
	EGD_LISTEN_SYSTEMD, /* the service manager's socket */
	EGD_LISTEN_XEN,     /* no socket: egd/server/xen.h */
	EGD_LISTEN_KINDS
};

/* Returns the text behind the prefix of an address of this kind, or NULL: it is of another. */
const char *egd_listener_rest(const char *address, enum egd_listen_kind kind);

/* NULL, or the error of an address. */
const char *egd_listener_address_error(const char *address);

/* NULL, or the error of a whole section. */
const char *egd_listener_error(const struct egd_listen_config *config);

/* NULL, or the reason for which this machine lacks the owner. */
const char *egd_listener_missing(const struct egd_listen_config *config);

/* Warns of a section that is valid and dangerous. */
void egd_listener_warn(const struct egd_listen_config *config);

/* Logs what is missing or dangerous; false: missing. */
bool egd_listener_check(const struct egd_listen_config *config);

/* Returns whether connections speak TLS: tls:, or systemd: with keys for it. */
bool egd_listener_is_tls(const struct egd_listen_config *config);

/* Returns whether `fd`, from a previous daemon, is at the section's address, and still there. */
bool egd_listener_resumes(const struct egd_listen_config *config, int fd);

/*
 * Opens the socket, or duplicates `given`, or resumes `previous`, for which egd_listener_resumes()
 * must be true; -1: none. Takes over `previous`, not `given`. The fd, or -errno after a log line.
 */
int egd_listener_open(const struct egd_listen_config *config, int given, int previous);

/* Closes the socket and removes its path, if any. */
void egd_listener_close(const char *address, int fd);

#endif
