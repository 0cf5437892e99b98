/* SPDX-License-Identifier: MIT */
/*
 * The socket between the daemon and `ekey-tls`, which holds the keys and certificates. Each kind of
 * message has one exact size. The daemon accepts and connects, and passes the connected socket with
 * one end of a socketpair. ekey-tls makes the handshake on the socket and carries plaintext to and
 * from the pair. The first bytes of the plaintext are a PROXY header (egd/proxy.h) with the
 * identity of the peer, or with the reason for which there is no TLS.
 */
#ifndef LIB_PRIV_TLS_CHANNEL_H
#define LIB_PRIV_TLS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_CHANNEL_FD 3        /* in ekey-tls: the first of sd_listen_fds(3) */
#define TLS_SECTION_MAX 48      /* "listen NAME", "source NAME" and a NUL */
#define TLS_SECTIONS_MAX 32     /* with keys: listeners and sources */
#define TLS_PATH_MAX 256        /* of a file, with its NUL */
#define TLS_IDENTITY_MAX 129    /* in a file of pre-shared keys, with its NUL */
#define TLS_PEER_NAME_MAX 254   /* of a host, with its NUL */
#define TLS_WORDS_MAX 256       /* of an error, with its NUL */
#define TLS_ANSWER_WAIT_MS 2000 /* timeout: an ekey-tls that loads keys for longer hangs */

enum tls_kind {
	TLS_KEYS = 1, /* read a section's files, and answer */
	TLS_END,      /* discard the sections that were not named since the last one */
	TLS_ACCEPT,   /* with two fds: be the server of this connection */
	TLS_CONNECT,  /* with two fds: be the client */
	TLS_RENEW     /* this machine is a clone: end all connections without close_notify */
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

/* All other kinds. Fields that a kind does not have are 0. */
struct tls_order {
	uint32_t kind;
	char section[TLS_SECTION_MAX];
	char peer_name[TLS_PEER_NAME_MAX]; /* TLS_CONNECT: the name in the server's certificate */
	uint64_t client;                   /* TLS_ACCEPT: equal for connections of one address */
};

union tls_message {
	uint32_t kind;
	struct tls_keys keys;
	struct tls_order order;
};

/* The answer to TLS_KEYS. */
struct tls_answer {
	int32_t result; /* 0; -EINVAL: `words` has the cause; -EXDEV: see tls_channel_load() */
	uint32_t kept;  /* 1: the files are not good, and the previous keys stay in use */
	char words[TLS_WORDS_MAX]; /* printable; with result 0 a warning, or "" */
};

/* ---- the daemon's end: fds are close-on-exec; -errno on failure ---- */

/*
 * Has keys loaded, and waits for the answer. 0 with *ret; -ETIMEDOUT, -EPIPE: ekey-tls hangs, or
 * has ended. -EXDEV in the answer: a file is in a directory that was not named before the first
 * TLS_END, and that this ekey-tls cannot read; another one has to be started.
 */
int tls_channel_load(int channel, const struct tls_keys *keys, struct tls_answer *ret);

/* Sends TLS_END or TLS_RENEW. */
int tls_channel_order(int channel, enum tls_kind kind);

/*
 * Passes a connection, with TLS_ACCEPT or TLS_CONNECT; `fd` stays the caller's. Returns the
 * plaintext's end (non-blocking); -EAGAIN: ekey-tls is busy.
 */
int tls_channel_pass(int channel, const struct tls_order *order, int fd);

/* ---- ekey-tls's end ---- */

/* Whether `len` bytes and `fds` descriptors are one whole message with good fields. */
bool tls_message_is_good(const union tls_message *message, size_t len, unsigned fds);

/*
 * Receives the next message. 1; 0: the daemon has ended; -EAGAIN: there is none yet; -EPROTO: it is
 * not good. ret_fds: the connection and the plaintext's end, the caller's; -1 where there are none.
 */
int tls_channel_receive(int channel, union tls_message *ret, int ret_fds[static 2]);

int tls_channel_answer(int channel, const struct tls_answer *answer);

#endif
