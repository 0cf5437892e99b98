/* SPDX-License-Identifier: MIT */
/*
 * A report on an Entropy Key that its owner can send to developers: its descriptors, its answer
 * times, its types of frames, its figures. It has the serial number, but no key, nonce, MAC or
 * entropy byte (backend/ekey/frame_stats.h never has them).
 */
#ifndef BACKEND_REPORT_H
#define BACKEND_REPORT_H

#include <event2/buffer.h>

#include "backend/source.h"

/* Adds lines of text about the source's key; the last is report_compare()'s. */
void report_write(struct evbuffer *out, const struct source *source);

/*
 * Adds a line that ends with "as expected", or with "differs in" and the names of the differences
 * from the key of doc/protocol.md 1 and 2. `description`: of source_describe(); "" where the key is
 * not on USB. A figure that was not measured yet does not differ.
 */
void report_compare(struct evbuffer *out, const struct source_status *s, const char *description);

#endif
