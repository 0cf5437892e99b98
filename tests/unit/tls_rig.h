/* SPDX-License-Identifier: MIT */
/*
 * A TLS client and a server over a socketpair, with files in a directory of their own; ekey-tls as
 * a process.
 */
#ifndef TESTS_UNIT_TLS_RIG_H
#define TESTS_UNIT_TLS_RIG_H

#include "lib/tls/tls.h"

#define TLS_RIG_KEY "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define TLS_RIG_OTHER_KEY "ff112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

struct tls_end {
	struct tls *tls;
	int fd;
	int result; /* of the handshake, or of what came after it */
};

struct tls_rig {
	struct tls_end server, client;
};

/* Absolute path of the file `name`. Of each name one buffer, for ever. */
const char *tls_rig_path(const char *name);

/* Makes and removes the directory; for cmocka's group. */
int tls_rig_begin(void **unused);
int tls_rig_end(void **unused);

/* Writes a file of mode 0600, and returns its path. */
const char *tls_rig_write(const char *name, const char *text);

/* Both contexts must be good; the handshake goes on until neither side can. */
void tls_rig_connect(struct tls_rig *rig, const struct tls_config *server,
		     const struct tls_config *client);
void tls_rig_close(struct tls_rig *rig);

/* Starts ekey-tls's service; closing the fd ends it. */
int tls_rig_service(void);

/* Has it load the keys of a section, and no other. Returns whether they are good. */
bool tls_rig_load(int channel, const char *section, const struct tls_config *config);

#endif
