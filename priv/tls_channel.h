/* SPDX-License-Identifier: MIT */
/*
 * The socket between the daemon and `ekey-tls`, which has the keys and certificates and speaks TLS
 * for it. Messages have one exact size for each kind. The daemon accepts and connects by itself and
 * passes the connected socket on; ekey-tls shakes hands on it and carries plaintext to and from one
 * end of a socketpair, whose other end the daemon keeps. The first bytes there are a PROXY header
 * (egd/proxy.h) with the identity that the peer has proven, or with the reason for which there is
 * no TLS.
 */
#ifndef PRIV_TLS_CHANNEL_H
#define PRIV_TLS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_CHANNEL_FD 3        /* of it in ekey-tls: sd_listen_fds(3)'s first */
#define TLS_SECTION_MAX 48      /* "listen NAME", "source NAME" and a NUL */
#define TLS_SECTIONS_MAX 32     /* with keys: listeners and sources */
#define TLS_PATH_MAX 256        /* of a file, with its NUL */
#define TLS_IDENTITY_MAX 129    /* a line's of a PSK file, with its NUL */
#define TLS_PEER_NAME_MAX 254   /* a host's name, with its NUL */
#define TLS_WORDS_MAX 256       /* of an error, with its NUL */
#define TLS_ANSWER_WAIT_MS 2000 /* for ekey-tls to load keys; then it hangs, and is given up */

enum tls_kind {
	TLS_KEYS = 1, /* load a section's files anew, and answer */
	TLS_END,      /* all sections have been named: discard the others */
	TLS_ACCEPT,   /* with two fds: be the server of this connection */
	TLS_CONNECT,  /* with two fds: be the client */
	TLS_RENEW     /* this machine is a clone: end all connections without a farewell */
};

/* As in the configuration: absolute paths, and a client's line of `psk`. "": none is given. */
struct tls_files {
	char psk[TLS_PATH_MAX], cert[TLS_PATH_MAX], key[TLS_PATH_MAX], ca[TLS_PATH_MAX];
	char identity[TLS_IDENTITY_MAX];
};

/* TLS_KEYS. Texts are followed by zeros. */
struct tls_keys {
	uint32_t kind;
	uint32_t server; /* 0: a client's */
	char section[TLS_SECTION_MAX];
	struct tls_files files;
};

/* All other kinds; fields that a kind does not need are 0. */
struct tls_order {
	uint32_t kind;
	char section[TLS_SECTION_MAX];
	char peer_name[TLS_PEER_NAME_MAX]; /* TLS_CONNECT: that the certificate must have */
	uint64_t client;                   /* TLS_ACCEPT: equal for connections of one address */
};

union tls_message {
	uint32_t kind;
	struct tls_keys keys;
	struct tls_order order;
};

/* To TLS_KEYS. */
struct tls_answer {
	int32_t result; /* 0; -EINVAL: `words` is why; -EXDEV: see tls_channel_load() */
	uint32_t kept;  /* 1: they could not be loaded, and those of before are still good */
	char words[TLS_WORDS_MAX]; /* printable; with result 0 a warning, or "" */
};

/* ---- the daemon's end: fds are close-on-exec; -errno on failure ---- */

/*
 * Has keys loaded, and waits for the answer. 0 with *ret; -ETIMEDOUT, -EPIPE: there is no ekey-tls
 * any more. An answer with -EXDEV: the files are in a directory that this ekey-tls may not read,
 * for it was not named before the first TLS_END: another one has to be started.
 */
int tls_channel_load(int channel, const struct tls_keys *keys, struct tls_answer *ret);

/* TLS_END or TLS_RENEW. */
int tls_channel_order(int channel, enum tls_kind kind);

/*
 * Hands over a connection, `fd` of which stays the caller's. Returns the plaintext's end
 * (non-blocking); -EAGAIN: ekey-tls has more to do than it can.
 */
int tls_channel_accept(int channel, const char *section, uint64_t client, int fd);
int tls_channel_connect_as(int channel, const char *section, const char *peer_name, int fd);

/* ---- ekey-tls's end ---- */

/* True when `len` bytes and `fds` descriptors are one whole message of a kind, and make sense. */
bool tls_message_is_good(const union tls_message *message, size_t len, unsigned fds);

/*
 * The next message: 1, or 0 at the daemon's end, -EAGAIN: none yet, -EPROTO: it is not good.
 * ret_fds: the connection and the plaintext's end, the caller's now; -1 where there are none.
 */
int tls_channel_receive(int channel, union tls_message *ret, int ret_fds[static 2]);

int tls_channel_answer(int channel, const struct tls_answer *answer);

#endif
