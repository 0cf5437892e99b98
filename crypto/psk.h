/* SPDX-License-Identifier: MIT */
/*
 * Pre-shared keys as text: lines "identity:hexkey", the form of stunnel's PSKsecrets. Empty lines
 * and those that begin with '#' are skipped. The text stays as it is, in the secret memory that it
 * was read into, and keys are looked up in it: there is no second copy to keep and to wipe.
 */
#ifndef CRYPTO_PSK_H
#define CRYPTO_PSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PSK_IDENTITY_MAX 128 /* characters, printable ASCII without blanks and colons */
#define PSK_KEY_MIN 16       /* bytes; what stunnel asks for, and 128 bits */
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

/* True when every line is good and there is at least one; else *ret_error says which is not. */
bool psk_check(const char *text, size_t len, struct psk_error *ret_error);

/*
 * Of a text that was checked: the first line of that identity; or, of NULL, the first line of all.
 * False, and *ret wiped, when there is none.
 */
bool psk_find(const char *text, size_t len, const char *identity, size_t identity_len,
	      struct psk *ret);

#endif
