/* SPDX-License-Identifier: MIT */
/* The values in [source] and what must hold between them; parsers as in struct config_key. */
#ifndef DAEMON_CONFIG_SOURCE_H
#define DAEMON_CONFIG_SOURCE_H

#include <stddef.h>

#include "backend/sources.h"

const char *config_source_parse_type(void *field, size_t size, const char *value);
const char *config_source_parse_address(void *field, size_t size, const char *value);
const char *config_source_parse_h(void *field, size_t size, const char *value);
const char *config_source_parse_credit(void *field, size_t size, const char *value);
const char *config_source_parse_expect(void *field, size_t size, const char *value);
const char *config_source_parse_class(void *field, size_t size, const char *value);
const char *config_source_parse_trusted(void *field, size_t size, const char *value);
const char *config_source_parse_policy(void *field, size_t size, const char *value);
const char *config_source_parse_read_ahead(void *field, size_t size, const char *value);
const char *config_source_parse_timeout(void *field, size_t size, const char *value);

/* NULL, or what is wrong with a whole section. */
const char *config_source_error(const struct source_config *source);

/* True when one of its addresses is where a listener of ours listens, as far as texts tell. */
bool config_source_asks(const struct source_config *source, const char *listener);

#endif
