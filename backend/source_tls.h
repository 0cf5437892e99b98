/* SPDX-License-Identifier: MIT */
/* By which files a source at a tls: address and we know each other; as in its configuration. */
#ifndef BACKEND_SOURCE_TLS_H
#define BACKEND_SOURCE_TLS_H

#include <stdbool.h>

#include "crypto/psk.h"

#define SOURCE_FILE_MAX 256 /* of a path, with its NUL */

/* "" where there is none. */
struct source_tls {
	char psk[SOURCE_FILE_MAX];
	char identity[PSK_IDENTITY_MAX + 1];
	char cert[SOURCE_FILE_MAX], key[SOURCE_FILE_MAX], ca[SOURCE_FILE_MAX];
};

/* Nothing is given. */
bool source_tls_is_empty(const struct source_tls *files);

/* NULL, or what is missing, for a server that certainly wants TLS. */
const char *source_tls_error(const struct source_tls *files);

#endif
