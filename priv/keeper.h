/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process of its own that keeps the one privilege which is needed while we serve,
 * CAP_SYS_ADMIN for crediting the kernel's generator, so that those who talk to the world can give
 * it up. The user nobody (who is not root stays who he is), no other capability, no file but its
 * socket and /dev/random; it takes messages of one exact size, and whatever else comes ends it. It
 * lives as long as the other end of its socket.
 */
#ifndef PRIV_KEEPER_H
#define PRIV_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Forks it: to be called first of all, while there are no secrets, threads and fds that it would
 * share. Returns our end of its socket (close-on-exec; readable when there is an
 * answer), or -errno. Privileges that are lacking are found out with the first order.
 */
int keeper_start(void);

/*
 * Orders `len` bytes (1 to PRIV_RANDOM_BYTES_MAX) to be given to the kernel with a credit of
 * `bits`, and the generator to take them now if `reseed`. Without credit they are mixed in and no
 * more, which takes no privilege. 0 when it was sent, and exactly one answer comes; else -errno.
 */
int keeper_feed(int fd, const uint8_t *bytes, size_t len, unsigned bits, bool reseed);

/* The answer: 0 or -errno of the act; -EAGAIN: not yet; -EPIPE: there is no keeper any more. */
int keeper_answer(int fd);

/* Both: keeper_feed(), and the answer, however long that takes. */
int keeper_feed_and_wait(int fd, const uint8_t *bytes, size_t len, unsigned bits, bool reseed);

#endif
