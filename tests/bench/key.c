/* SPDX-License-Identifier: MIT */
#include "tests/bench/key.h"

#include <err.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net.h"
#include "lib/secret.h"
#include "tests/bench/ring.h"
#include "tests/sim/frames.h"

#define HOST_WAIT_MS 10000

static void
random_bytes(uint8_t *ret, size_t len)
{
	if (getrandom(ret, len, 0) != (ssize_t)len)
		err(1, "getrandom");
}

void
key_write(const struct key *k, const uint8_t frame[static 64])
{
	if (write(k->fd, frame, FRAMES_LEN) != FRAMES_LEN)
		err(1, "the host left");
}

/* Asks for a session. ekeyd takes a frame of spaces for the end of the key. */
static void
ask_rekey(const struct key *k)
{
	uint8_t frame[FRAMES_LEN];

	frames_text(&k->zero_mac, 'k', "Please re-key session.", frame);
	key_write(k, frame);
}

/* After a reset: who we are, and that we have something to say. */
static void
answer_reset(struct key *k)
{
	uint8_t frame[FRAMES_LEN];

	frames_binary(&k->zero_mac, 'S', 0, k->serial, sizeof(k->serial), frame);
	key_write(k, frame);
	ask_rekey(k);
}

static void
answer_rekey(struct key *k)
{
	uint8_t frame[FRAMES_LEN], ours[SKEIN_LEN], secret[SKEIN_LEN];

	random_bytes(ours, sizeof(ours));
	frames_binary(&k->zero_mac, 'K', (unsigned)k->commands.nonce_len, ours, sizeof(ours),
		      frame);
	key_write(k, frame);
	keyed_derive(&k->session, ours, sizeof(ours), k->commands.nonce, k->commands.nonce_len,
		     secret);
	keyed_prepare(&k->mac, KEYED_FRAME_MAC, k->serial, secret);
	keyed_prepare(&k->pad, KEYED_ENTROPY_PAD, k->serial, secret);
	secret_wipe(secret, sizeof(secret));
}

/* True when the host has answered with a nonce of its own. */
static bool
hear_host(struct key *k)
{
	uint8_t bytes[64];
	ssize_t n = read(k->fd, bytes, sizeof(bytes));
	struct cursor packet = cursor_over(bytes, n > 0 ? (size_t)n : 0);
	enum command command;

	if (n <= 0)
		err(1, "the host left");
	while ((command = command_next(&k->commands, &packet)) != COMMAND_NONE) {
		if (command == COMMAND_RESET)
			answer_reset(k);
		if (command == COMMAND_REKEY) {
			answer_rekey(k);
			return true;
		}
	}
	return false;
}

static void
accept_host(struct key *k, const char *path)
{
	int listener = net_unix_listen(path, 0600);
	struct pollfd wait = {.fd = listener, .events = POLLIN};

	if (listener < 0 || poll(&wait, 1, HOST_WAIT_MS) != 1)
		errx(1, "no host came to %s", path);
	k->fd = accept(listener, NULL, NULL);
	if (k->fd < 0)
		err(1, "%s", path);
	close(listener);
	unlink(path);
}

void
key_open(struct key *k, const char *path, const char *keyring)
{
	static const uint8_t zero_key[KEYED_SECRET_LEN];
	struct keyring *ring = ring_load(keyring);

	*k = (struct key){0};
	memcpy(k->serial, ring->entries[0].serial, sizeof(k->serial));
	keyed_prepare(&k->zero_mac, KEYED_FRAME_MAC, k->serial, zero_key);
	keyed_prepare(&k->session, KEYED_SESSION_KEY, k->serial, ring->entries[0].ltk);
	ring_free(&ring);
	command_init(&k->commands);
	accept_host(k, path);
	ask_rekey(k); /* ekeyd says nothing before it has heard something */
	while (!hear_host(k))
		;
}

void
key_prepare(struct key *k, uint8_t ret_frame[static 64])
{
	uint8_t block[SKEIN_LEN];

	random_bytes(block, sizeof(block));
	frames_entropy(&k->mac, &k->pad, k->sequence++, block, ret_frame);
}

void
key_close(struct key *k)
{
	close(k->fd);
	secret_wipe(k, sizeof(*k));
}
