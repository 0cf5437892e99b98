/* SPDX-License-Identifier: MIT */
/*
 * The header that a proxy puts before a connection's first byte, to say for whom it is: the PROXY
 * protocol, versions 1 (a line of text) and 2 (binary), as HAProxy and others write it.
 * doc/egd.md 1.
 */
#ifndef EGD_PROXY_H
#define EGD_PROXY_H

#include <stdbool.h>

#include "base/address.h"
#include "base/bytes.h"

/* Longer ones are refused. The protocol's own bound for what a receiver must manage: one segment
 * of the smallest TCP. Version 1 never needs more than 107. */
#define EGD_PROXY_MAX 536

enum egd_proxy_found { EGD_PROXY_WHOLE, EGD_PROXY_PARTIAL, EGD_PROXY_BAD };

#define EGD_PROXY_WORDS_MAX 256 /* of either, with its NUL */

struct egd_proxy {
	bool forwarded; /* false: the proxy speaks for itself (a health check), or cannot say */
	struct address client;
	/* From ekey-tls, and to be believed of it only; "" where it says nothing: */
	char identity[EGD_PROXY_WORDS_MAX]; /* that the client has proven */
	char refusal[EGD_PROXY_WORDS_MAX];  /* why the connection does not come to be */
};

/*
 * Takes a whole header off `in`; nothing otherwise. Partial: more bytes must decide. Other further
 * fields (TLVs) are passed over.
 */
enum egd_proxy_found egd_proxy_parse(struct cursor *in, struct egd_proxy *ret);

/*
 * Writes ekey-tls's header (version 2, LOCAL: the addresses are those of the connection itself) to
 * `ret`, which has room for EGD_PROXY_MAX bytes. Returns its length. Either may be "".
 */
size_t egd_proxy_put(const char *identity, const char *refusal, uint8_t *ret);

/* The first byte of a header, and of no EGD request: worth a line of its own in the log. */
bool egd_proxy_begins(uint8_t first);

#endif
