/* SPDX-License-Identifier: MIT */
/* The same text as Lua and as shell: every statement is told once, and what is told is clean. */
#include <string.h>

#include "daemon/ekeyctl/ekeyd_conf.h"
#include "tests/fuzz/fuzz.h"

typedef enum ekeyd_found next_fn(struct ekeyd_reader *r, struct ekeyd_line *ret);

static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		promise((unsigned char)*text >= ' ' && *text != 0x7f,
			"nothing told can drive a terminal");
}

static void
check_line(const struct ekeyd_line *line)
{
	promise(line->name[0] != '\0' && line->count <= EKEYD_ARGS_MAX, "a line has a name");
	check_text(line->name);
	for (size_t i = 0; i < line->count; i++)
		check_text(line->args[i]);
}

static void
check_all(const char *text, size_t len, next_fn *next)
{
	struct ekeyd_reader reader;
	struct ekeyd_line line;
	enum ekeyd_found found;
	const char *before = text;
	unsigned last = 0;

	ekeyd_reader_init(&reader, text, len);
	while ((found = next(&reader, &line)) != EKEYD_END) {
		promise(line.number >= last && line.last >= line.number,
			"statements come in their order");
		promise(reader.at > before, "each has its own place");
		before = reader.at;
		last = line.last;
		if (found == EKEYD_LINE)
			check_line(&line);
	}
	promise(last <= len + 1, "there is one line more than ends of lines");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	check_all((const char *)data, size, ekeyd_next_call);
	check_all((const char *)data, size, ekeyd_next_assignment);
	return 0;
}
