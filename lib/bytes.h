/* SPDX-License-Identifier: MIT */
/* Bytes in hand: a cursor over input that cannot run past its end, and little-endian words. */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes owned elsewhere. Taking moves it forward; no byte is copied. */
struct cursor {
	const uint8_t *at;
	size_t left; /* bytes from `at` to the end */
};

static inline struct cursor
cursor_over(const void *bytes, size_t len)
{
	return (struct cursor){bytes, len};
}

/* Takes `len` bytes and points *ret_at at them; false, and nothing taken, when fewer are left. */
static inline bool
cursor_take(struct cursor *c, size_t len, const uint8_t **ret_at)
{
	if (len > c->left)
		return false;
	*ret_at = c->at;
	c->at += len;
	c->left -= len;
	return true;
}

/* memcpy() and not shifts: gcc makes one instruction of it, and a loop of eight of the other. */
static inline uint64_t
load_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void
store_le64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
