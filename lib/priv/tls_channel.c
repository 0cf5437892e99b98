/* SPDX-License-Identifier: MIT */
#include "lib/priv/tls_channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd_pass.h"

#define FDS 2 /* of a connection: its socket, and the plaintext's end */

_Static_assert(FDS == FD_PASS_MAX, "descriptors of a message");

/* ---- messages ---- */

/* Whether a field is a text with its end, and zeros behind it. */
static bool
is_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = len; i < size; i++)
		if (text[i] != '\0')
			return false;
	return len < size;
}

static bool
is_path(const char *text)
{
	return is_text(text, TLS_PATH_MAX) && (text[0] == '/' || text[0] == '\0');
}

static bool
keys_are_good(const struct tls_keys *keys)
{
	const struct tls_files *files = &keys->files;

	return keys->server <= 1 && is_path(files->psk) && is_path(files->cert) &&
	       is_path(files->key) && is_path(files->ca) &&
	       is_text(files->identity, sizeof(files->identity)) &&
	       is_text(keys->section, sizeof(keys->section)) && keys->section[0] != '\0';
}

bool
tls_message_is_good(const union tls_message *message, size_t len, unsigned fds)
{
	const struct tls_order *order = &message->order;
	bool connection;

	if (len == sizeof(message->keys) && message->kind == TLS_KEYS)
		return fds == 0 && keys_are_good(&message->keys);
	if (len != sizeof(*order) || order->kind < TLS_END || order->kind > TLS_RENEW)
		return false;
	connection = order->kind == TLS_ACCEPT || order->kind == TLS_CONNECT;
	return fds == (connection ? FDS : 0) && is_text(order->section, sizeof(order->section)) &&
	       is_text(order->peer_name, sizeof(order->peer_name)) &&
	       connection == (order->section[0] != '\0') &&
	       (order->kind == TLS_CONNECT) == (order->peer_name[0] != '\0');
}

/* Sends a message, with both descriptors unless `fds` is NULL. 0 or -errno. */
static int
send_message(int channel, const void *bytes, size_t len, const int *fds)
{
	const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};

	return fd_pass_send(channel, &part, 1, fds, fds != NULL ? FDS : 0, MSG_DONTWAIT);
}

/* ---- the daemon's end ---- */

/* Waits until the channel is ready for `events`. 0 or -errno. */
static int
wait_for(int channel, short events)
{
	struct pollfd at = {.fd = channel, .events = events};
	int n;

	do
		n = poll(&at, 1, TLS_ANSWER_WAIT_MS);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

int
tls_channel_load(int channel, const struct tls_keys *keys, struct tls_answer *ret)
{
	int result = wait_for(channel, POLLOUT);

	if (result == 0)
		result = send_message(channel, keys, sizeof(*keys), NULL);
	if (result == 0)
		result = wait_for(channel, POLLIN);
	if (result < 0)
		return result;
	if (recv(channel, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC) != (ssize_t)sizeof(*ret) ||
	    !is_text(ret->words, sizeof(ret->words)))
		return -EPIPE;
	return 0;
}

int
tls_channel_order(int channel, enum tls_kind kind)
{
	const struct tls_order order = {.kind = kind};
	int result = wait_for(channel, POLLOUT);

	return result == 0 ? send_message(channel, &order, sizeof(order), NULL) : result;
}

int
tls_channel_pass(int channel, const struct tls_order *order, int fd)
{
	int ends[2], result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		return -errno;
	result = send_message(channel, order, sizeof(*order), (int[FDS]){fd, ends[1]});
	close(ends[1]);
	if (result == 0)
		return ends[0];
	close(ends[0]);
	return result;
}

/* ---- ekey-tls's end ---- */

int
tls_channel_receive(int channel, union tls_message *ret, int ret_fds[static FDS])
{
	const struct iovec part = {.iov_base = ret, .iov_len = sizeof(*ret)};
	ssize_t n = fd_pass_receive(channel, &part, 1, ret_fds, FDS, MSG_DONTWAIT);
	unsigned fds = ret_fds[0] < 0 ? 0 : ret_fds[1] < 0 ? 1 : FDS;

	if (n > 0 && tls_message_is_good(ret, (size_t)n, fds))
		return 1;
	for (unsigned i = 0; i < fds; i++)
		close(ret_fds[i]);
	return n > 0 || n == -EMSGSIZE ? -EPROTO : (int)n;
}

int
tls_channel_answer(int channel, const struct tls_answer *answer)
{
	return send_message(channel, answer, sizeof(*answer), NULL);
}
