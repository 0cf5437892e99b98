/* SPDX-License-Identifier: MIT */
/*
 * Acts on the kernel's random generator, random(4), each one function. Only credit and reseed are
 * privileged: the calling process, not the one that opened the fd, needs CAP_SYS_ADMIN in the first
 * user namespace.
 */
#ifndef LIB_PRIV_RANDOM_H
#define LIB_PRIV_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/random.h>

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07) /* Linux 4.14; headers of the time may lack it */
#endif

#define PRIV_RANDOM_BYTES_MAX 512 /* of one act: more than any generator's state */
#define PRIV_RANDOM_CREDIT_MAX 8  /* bits per byte */

/*
 * Opens /dev/random to write: fd (non-blocking, close-on-exec) or -errno; -ENODEV for another file
 * there. poll(2) reports POLLOUT while the kernel asks for entropy: until it has had 256 bits; with
 * the generator from before Linux 5.18 (which some stable kernels have replaced too) whenever
 * entropy_avail is below write_wakeup_threshold.
 */
int priv_open_random(void);

/*
 * Mixes `bytes` in and credits `bits`, by one RNDADDENTROPY. 0 or -errno: -EPERM without the
 * capability, -EINVAL, and nothing done, when `len` is not 1 to PRIV_RANDOM_BYTES_MAX or `bits` is
 * more than PRIV_RANDOM_CREDIT_MAX x len.
 */
int priv_random_credit(int fd, const uint8_t *bytes, size_t len, unsigned bits);

/*
 * Reseeds the generator from its pool now, not within minutes (RNDRESEEDCRNG). 0 or -errno: -EPERM
 * as above; -ENODATA before its first 256 bits, with which it reseeds by itself.
 */
int priv_random_reseed(int fd);

/* Mixes in up to PRIV_RANDOM_BYTES_MAX without credit. 0 or -errno; needs no privilege. */
int priv_random_mix(int fd, const uint8_t *bytes, size_t len);

/*
 * Returns entropy_avail in bits (always 256 from Linux 5.18 on, once ready), or -errno. It is not
 * read from /proc, which a sandbox hides.
 */
int priv_random_level(int fd);

/* Whether the generator is ready. Does not wait, and does not make the kernel gather entropy. */
bool priv_random_ready(void);

#endif
