/* SPDX-License-Identifier: MIT */
/*
 * The header that a proxy puts before a connection's first byte, with the client's address: the
 * PROXY protocol, versions 1 (a line of text) and 2 (binary), as HAProxy and others write it.
 * doc/egd.md 1.
 */
#ifndef EGD_PROXY_H
#define EGD_PROXY_H

#include <stdbool.h>

#include "lib/address.h"
#include "lib/bytes.h"

/* Longer headers are refused. A receiver must accept as much: one segment of the smallest TCP.
 * Version 1 has at most 107. */
#define EGD_PROXY_MAX 536

enum egd_proxy_found { EGD_PROXY_WHOLE, EGD_PROXY_PARTIAL, EGD_PROXY_BAD };

#define EGD_PROXY_WORDS_MAX 256 /* of either, with its NUL */

struct egd_proxy {
	bool forwarded; /* false: it has no client (the proxy's health check), or of another family
			 */
	struct address client;
	/* Valid from ekey-tls only; "": it is not there. */
	char identity[EGD_PROXY_WORDS_MAX]; /* of the client, by its key or certificate */
	char refusal[EGD_PROXY_WORDS_MAX];  /* the reason for which there is no TLS */
};

/*
 * Takes a whole header from `in`, and nothing otherwise. Partial: more bytes are needed. Further
 * fields (TLVs) of other proxies are skipped.
 */
enum egd_proxy_found egd_proxy_parse(struct cursor *in, struct egd_proxy *ret);

/*
 * Writes ekey-tls's header (version 2, LOCAL: the addresses are those of the connection itself) to
 * `ret`, which has room for EGD_PROXY_MAX bytes. Returns its length. Either may be "".
 */
size_t egd_proxy_put(const char *identity, const char *refusal, uint8_t *ret);

/* Whether it is the first byte of a header; no EGD request has the same. */
bool egd_proxy_begins(uint8_t first);

#endif
