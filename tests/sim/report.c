/* SPDX-License-Identifier: MIT */
#include "tests/sim/report.h"

#include <inttypes.h>

#define LINE_MAX_LEN 2048

struct line {
	size_t len;
	char text[LINE_MAX_LEN];
};

static void
line_add(struct line *line, const char *name, uint64_t value)
{
	int len = snprintf(line->text + line->len, sizeof(line->text) - line->len, " %s=%" PRIu64,
			   name, value);

	if (len > 0 && (size_t)len < sizeof(line->text) - line->len)
		line->len += (size_t)len;
}

static void
line_add_device(struct line *line, const struct engine_counters *c)
{
	line_add(line, "blocks", c->blocks);
	line_add(line, "frames", c->frames);
	line_add(line, "infos", c->infos);
	line_add(line, "asks", c->asks);
	line_add(line, "resets", c->resets);
	line_add(line, "nonces", c->nonces);
	line_add(line, "rekeys", c->rekeys);
	line_add(line, "lt_macs", c->lt_macs);
	line_add(line, "lt_rekeys", c->lt_rekeys);
	line_add(line, "lt_refused", c->lt_refused);
	line_add(line, "unknown", c->unknown);
	line_add(line, "broken", c->broken);
}

static void
line_add_usb(struct line *line, const struct usb_counters *c)
{
	line_add(line, "usb_configured", c->configured);
	line_add(line, "usb_halts_cleared", c->halts_cleared);
	line_add(line, "usb_class_requests", c->class_requests);
	line_add(line, "usb_line_states", c->line_states);
}

void
report(FILE *to, const struct engine_counters *counters, const struct faults *faults,
       const struct report_bytes *bytes, const struct usb_counters *usb)
{
	struct line line = {0};

	line_add_device(&line, counters);
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		line_add(&line, faults_name((enum fault)kind), faults->done[kind]);
	line_add(&line, "blocks_damaged", faults->blocks_damaged);
	line_add(&line, "hosts", bytes->hosts);
	line_add(&line, "bytes_in", counters->bytes_in);
	line_add(&line, "bytes_written", bytes->written);
	line_add(&line, "bytes_dropped", bytes->dropped);
	line_add(&line, "bytes_waiting", bytes->waiting);
	if (usb != NULL)
		line_add_usb(&line, usb);
	fprintf(to, "ekey-sim:%s\n", line.text);
	fflush(to);
}
