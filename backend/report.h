/* SPDX-License-Identifier: MIT */
/*
 * What an owner can send to people who have never seen a real key: what it is, how fast it answers,
 * which frames it sends. Its serial number is in it; no key, nonce, MAC or entropy byte is
 * (ekey/census.h never had them).
 */
#ifndef BACKEND_REPORT_H
#define BACKEND_REPORT_H

#include <event2/buffer.h>

#include "backend/source.h"

/* Adds lines of text about the source's key, for people to read; report_compare()'s is the last. */
void report_write(struct evbuffer *out, const struct source *source);

/*
 * Adds a line that ends with "as expected", or with "differs in" and the names of what differs from
 * the key of doc/protocol.md 1 and 2. `description` is source_describe()'s, "" where the key is not
 * on USB. What was not measured yet does not differ.
 */
void report_compare(struct evbuffer *out, const struct source_status *s, const char *description);

#endif
