/* SPDX-License-Identifier: MIT */
/*
 * The socket that a [listen] section asks for:
 *     unix:PATH   tcp:ADDRESS:PORT   tls:ADDRESS:PORT   vsock:PORT   systemd:NAME   xen:DIRECTORY
 * ADDRESS is in numbers: V4, [V6], or [::] for all of both; NAME one of systemd's
 * FileDescriptorName=.
 */
#ifndef EGD_LISTENER_H
#define EGD_LISTENER_H

#include <stdbool.h>

#include "egd/egd_server.h"

/* NULL, or what is wrong with an address. */
const char *egd_listener_address_error(const char *address);

/* NULL, or what a whole section lacks, or has too much. */
const char *egd_listener_error(const struct egd_listen_config *config);

/* NULL, or what is dangerous about a section that is good. */
const char *egd_listener_warning(const struct egd_listen_config *config);

/* NULL, or what this machine does not have of what the section names. */
const char *egd_listener_missing(const struct egd_listen_config *config);

/* The NAME of systemd:NAME, whose socket somebody has to give; NULL for all others. */
const char *egd_listener_given_name(const char *address);

/* The PATH of unix:PATH; NULL for all others. */
const char *egd_listener_path(const char *address);

/* The DIRECTORY of xen:DIRECTORY, where nobody listens (egd/xen.h); NULL for all others. */
const char *egd_listener_xen_directory(const char *address);

/* Whether connections are to speak TLS: tls:, or systemd: with keys for it. */
bool egd_listener_is_tls(const struct egd_listen_config *config);

/* Whether `fd`, which a previous daemon opened, is at the section's address, where it still is. */
bool egd_listener_resumes(const struct egd_listen_config *config, int fd);

/*
 * Opens it, or checks the one that is `given`, or resumes `previous`, which a previous daemon
 * opened, when it is at this address; -1: there is none. Takes `previous` and not `given`. The fd,
 * or -errno after its line in the log.
 */
int egd_listener_open(const struct egd_listen_config *config, int given, int previous);

/* Ends it; the path of a Unix socket is free then. A given one stays open. */
void egd_listener_close(const char *address, int fd);

#endif
