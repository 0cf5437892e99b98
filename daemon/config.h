/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: INI, strict. An unknown section or key, a key given twice, a value out of
 * its range, a required key that is missing: each is an error with its line, all are collected, and
 * the configuration in force is not touched. The keys are in daemon/config_keys.h.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backend/sources.h"
#include "cuse/device.h"
#include "daemon/config_keys.h"
#include "daemon/kernel_feed.h"
#include "egd/server/egd_server.h"

#define CONFIG_PATH "/etc/ekey-random/ekey-random.conf"
#define CONFIG_FILE_MAX 65536 /* bytes that are read at all */
#define CONFIG_LINE_MAX 190   /* bytes; libinih's default line buffer holds 200 */
#define CONFIG_NAME_MAX 32    /* bytes of a NAME in [KIND NAME], with its NUL */
#define CONFIG_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define CONFIG_SOURCES_MAX 16
#define CONFIG_DEVICES_MAX 16
#define CONFIG_LISTENS_MAX 16
#define CONFIG_GLOBALS 4 /* [daemon], [pool], [kernel], [agent] */
#define CONFIG_SECTIONS_MAX \
	(CONFIG_GLOBALS + CONFIG_SOURCES_MAX + CONFIG_DEVICES_MAX + CONFIG_LISTENS_MAX)
#define CONFIG_USER_MAX 32
#define CONFIG_PATH_MAX 256
#define CONFIG_AGENT_MAX 64
#define CONFIG_SOCKET_MAX 108 /* sun_path */

_Static_assert(CONFIG_NAME_MAX <= SOURCE_NAME_MAX && CONFIG_NAME_MAX == DEVICE_NAME_MAX &&
		       CONFIG_NAME_MAX == EGD_NAME_MAX,
	       "a section's name is its source's, device's or listener's");

struct config {
	char user[CONFIG_USER_MAX]; /* "": ekey-random where root started the daemon */
	char keyring[CONFIG_PATH_MAX];
	char control[CONFIG_SOCKET_MAX];
	mode_t control_mode;
	size_t pool_size;             /* bytes */
	size_t pool_reserve;          /* bytes beside them for [kernel]; unused without it */
	char agent[CONFIG_AGENT_MAX]; /* "tcp:ADDR:PORT" */
	char agent_allow[EGD_ACL_TEXT_MAX];
	bool kernel_on; /* there is a [kernel] section */
	bool agent_on;
	struct kernel_config kernel;
	size_t source_count, device_count, listen_count;
	struct source_config sources[CONFIG_SOURCES_MAX];
	struct device_config devices[CONFIG_DEVICES_MAX];
	struct egd_listen_config listens[CONFIG_LISTENS_MAX];
};

#define CONFIG_ERRORS_MAX 20

struct config_errors {
	size_t count; /* of all; the first CONFIG_ERRORS_MAX are in `at` */
	struct {
		unsigned line; /* from 1 */
		char text[CONFIG_ERROR_TEXT_MAX];
	} at[CONFIG_ERRORS_MAX];
};

/* Reads a whole file's text. True with *ret, false with *ret_errors. */
bool config_parse(const char *text, size_t len, struct config *ret,
		  struct config_errors *ret_errors);

/*
 * Sections of a kind: how many there are, at most one of a kind without NAME; the struct and the
 * NAME ("-": it has none) of one. The struct of a section without NAME is struct config.
 */
size_t config_count(const struct config *config, const char *kind);
const void *config_at(const struct config *config, const char *kind, size_t i);
const char *config_name(const struct config *config, const char *kind, size_t i);

/*
 * Whether two structs of a kind of section are the same in every key, NAME included: a part that
 * runs by one may keep running by the other.
 */
bool config_equal(const char *kind, const void *a, const void *b);

/* Whether FUSE is to serve the device: CUSE makes devices directly below /dev only. */
bool config_device_is_mount(const struct device_config *device);

#endif
