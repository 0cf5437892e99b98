/* SPDX-License-Identifier: MIT */
/*
 * Whatever a store says: it is read within its bounds, and a channel that is found has a path of a
 * console. The answers lie in a socket whose other end says no more.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/xen_channel.h"
#include "lib/xenstore.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 65536 /* fits into the socket */

static int
store_that_says(const uint8_t *data, size_t size, int *ret_end)
{
	int ends[2];

	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "a socket");
	promise(write(ends[1], data, size) == (ssize_t)size, "room for all");
	shutdown(ends[1], SHUT_WR);
	*ret_end = ends[1];
	return ends[0];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char value[64], path[XEN_CHANNEL_PATH_MAX];
	int store, end, len;

	if (size > INPUT_MAX)
		return 0;
	store = store_that_says(data, size, &end);
	len = xenstore_read(store, "x", value, sizeof(value));
	promise(len < (int)sizeof(value), "a value fits");
	promise(len < 0 || value[len] == '\0', "a value has an end");
	if (xen_channel_find_in(store, XEN_CHANNEL_NAME, path) == 0)
		promise(strncmp(path, "/dev/hvc", 8) == 0, "a console");
	close(store);
	close(end);
	return 0;
}
