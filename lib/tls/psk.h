/* SPDX-License-Identifier: MIT */
/*
 * Pre-shared keys as text: lines "identity:hexkey", as in PSKsecrets of stunnel. Empty lines and
 * those that begin with '#' are skipped. Keys are looked up in the text, in the secret memory that
 * it was read into, so that there is no second copy to wipe.
 */
#ifndef LIB_TLS_PSK_H
#define LIB_TLS_PSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PSK_IDENTITY_MAX 128 /* characters, printable ASCII without blanks and colons */
#define PSK_KEY_MIN 16       /* bytes: 128 bits, the least that stunnel takes */
#define PSK_KEY_MAX 256

struct psk_error {
	unsigned line; /* from 1 */
	const char *why;
};

struct psk {
	char identity[PSK_IDENTITY_MAX + 1];
	uint8_t key[PSK_KEY_MAX]; /* secret */
	size_t key_len;
};

/* Whether all lines are good, and there is at least one; if not, *ret_error has the first fault. */
bool psk_check(const char *text, size_t len, struct psk_error *ret_error);

/*
 * Finds the first line of an identity, or, for NULL, the first line, in a text that was checked.
 * False, and *ret wiped: there is none.
 */
bool psk_find(const char *text, size_t len, const char *identity, size_t identity_len,
	      struct psk *ret);

#endif
