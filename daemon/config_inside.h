/* SPDX-License-Identifier: MIT */
/* Between the parser (config.c) and the kinds of sections that it reads (config_sections.c). */
#ifndef DAEMON_CONFIG_INSIDE_H
#define DAEMON_CONFIG_INSIDE_H

#include <stdint.h>

#include "daemon/config.h"

struct config_parser;

/* A kind of section. */
struct config_section {
	const char *kind;
	bool named;
	/* Makes what its keys are stored in; NULL: no more of them. */
	void *(*begin)(struct config_parser *p);
	/* Looks at what they made of it. May be NULL. */
	void (*end)(struct config_parser *p);
};

struct config_parser {
	struct config *config;
	struct config_errors *errors;
	unsigned line;
	const struct config_section *open; /* NULL: none, or one that was refused */
	void *object;                      /* what its keys are stored in */
	uint64_t keys_seen;                /* bits by place in config_keys[] */
	bool before_first_section;
	/* All sections begun, the open one last. */
	size_t begun_count;
	struct {
		const struct config_section *section;
		char name[CONFIG_NAME_MAX];
		unsigned line;
	} begun[CONFIG_SECTIONS_MAX];
};

/* Notes what is wrong, and in which line. */
void config_error(struct config_parser *p, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Where the open section began, and the NAME in it: CONFIG_NAME_MAX bytes. */
unsigned config_section_line(const struct config_parser *p);
const char *config_section_name(const struct config_parser *p);

/* Ends with a NULL kind. */
extern const struct config_section config_sections[];

/* When all has been read: what must hold between the sections. */
void config_check(struct config_parser *p);

#endif
