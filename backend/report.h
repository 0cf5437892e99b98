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

/* Adds lines of text about the source's key, for people to read. */
void report_write(struct evbuffer *out, const struct source *source);

#endif
