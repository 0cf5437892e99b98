/* SPDX-License-Identifier: MIT */
#include "tests/unit/tls_rig.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "egd/tls/service.h"
#include "lib/priv/tls_channel.h"

#define PATHS_MAX 32
#define TURNS_MAX 100 /* of a handshake: a few are enough */

static char dir[] = "/tmp/ekey-tls.XXXXXX";
static char paths[PATHS_MAX][128];

int
tls_rig_begin(void **unused)
{
	(void)unused;
	signal(SIGPIPE, SIG_IGN); /* as every program that uses TLS does */
	return mkdtemp(dir) != NULL ? 0 : -1;
}

int
tls_rig_end(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PATHS_MAX && paths[i][0] != '\0'; i++)
		unlink(paths[i]);
	return rmdir(dir);
}

const char *
tls_rig_path(const char *name)
{
	char path[sizeof(paths[0])];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (size_t i = 0; i < PATHS_MAX; i++) {
		if (paths[i][0] == '\0')
			memcpy(paths[i], path, sizeof(path));
		if (strcmp(paths[i], path) == 0)
			return paths[i];
	}
	fail_msg("too many files");
	return NULL;
}

const char *
tls_rig_write(const char *name, const char *text)
{
	const char *path = tls_rig_path(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
	return path;
}

static void
tls_end_open(struct tls_end *end, const struct tls_config *config, int fd)
{
	char error[TLS_ERROR_MAX] = "";
	struct tls_context *context = tls_context_new(config, error);

	if (context == NULL)
		fail_msg("%s", error);
	*end = (struct tls_end){.tls = tls_new(context, fd), .fd = fd, .result = TLS_WANT_READ};
	assert_non_null(end->tls);
	tls_context_free(&context); /* the connection goes on without it */
}

static bool
tls_end_goes_on(struct tls_end *end)
{
	if (end->result == TLS_WANT_READ || end->result == TLS_WANT_WRITE)
		end->result = tls_handshake(end->tls);
	return end->result == TLS_WANT_READ || end->result == TLS_WANT_WRITE;
}

/* A server's verdict may come after the client's handshake is done: it is then read. */
static void
tls_end_hear(struct tls_end *end)
{
	uint8_t byte;

	if (end->result == 0)
		end->result = (int)tls_read(end->tls, &byte, sizeof(byte));
	if (end->result == TLS_WANT_READ)
		end->result = 0;
}

void
tls_rig_connect(struct tls_rig *rig, const struct tls_config *server,
		const struct tls_config *client)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	tls_end_open(&rig->server, server, fds[0]);
	tls_end_open(&rig->client, client, fds[1]);
	for (int i = 0; i < TURNS_MAX; i++) {
		bool on = tls_end_goes_on(&rig->client);

		if (!tls_end_goes_on(&rig->server) && !on)
			break;
		/* One of them has ended it: what it has said yet is heard. */
		if (rig->server.result < 0 && rig->server.result > TLS_WANT_READ)
			shutdown(rig->server.fd, SHUT_WR);
		if (rig->client.result < 0 && rig->client.result > TLS_WANT_READ)
			shutdown(rig->client.fd, SHUT_WR);
	}
	tls_end_hear(&rig->client);
	tls_end_hear(&rig->server);
}

void
tls_rig_close(struct tls_rig *rig)
{
	tls_free(&rig->server.tls);
	tls_free(&rig->client.tls);
	close(rig->server.fd);
	close(rig->client.fd);
}

int
tls_rig_service(void)
{
	int ends[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		_exit(service_run(ends[1]) ? 0 : 1);
	}
	close(ends[1]);
	return ends[0];
}

static void
put_path(char ret[static TLS_PATH_MAX], const char *path)
{
	snprintf(ret, TLS_PATH_MAX, "%s", path != NULL ? path : "");
}

bool
tls_rig_load(int channel, const char *section, const struct tls_config *config)
{
	struct tls_keys keys = {.kind = TLS_KEYS, .server = config->server};
	struct tls_answer answer;

	snprintf(keys.section, sizeof(keys.section), "%s", section);
	put_path(keys.files.psk, config->psk);
	put_path(keys.files.cert, config->cert);
	put_path(keys.files.key, config->key);
	put_path(keys.files.ca, config->ca);
	assert_int_equal(tls_channel_load(channel, &keys, &answer), 0);
	assert_int_equal(tls_channel_order(channel, TLS_END), 0);
	return answer.result == 0;
}
