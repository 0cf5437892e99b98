/* SPDX-License-Identifier: MIT */
/*
 * Kill -9 of an EGD server at any instruction, and another one goes on: its client, who always has
 * requests of all kinds under way, gets each reply whole and in order. We are the parent who
 * keeps, and the client; server, heir and parcel are real, each server a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/net.h"
#include "egd/egd_server.h"
#include "egd/egd_wire.h"
#include "egd/estate.h"
#include "priv/handover.h"

#define KILLS 500
#define LIVES_US 2000 /* at most, once it serves */
#define DEPTH 64      /* requests under way */
#define BYTE 0xaa     /* all that is in the pool */
#define POOL 16384
#define PATIENCE_MS 20000

struct rig {
	char dir[32];
	struct egd_listen_config config;
	struct kept kept; /* what the last server left; path "": nothing */
	pid_t server;
	int parent; /* our end of its socket */
	int client;
	unsigned first, count; /* of the requests under way */
	struct egd_request asked[DEPTH];
	uint64_t heard; /* replies */
};

/* ---- a server ---- */

/* Now plenty and now nothing: some requests wait. */
static void
refill(struct pool *pool)
{
	uint8_t bytes[1024];

	memset(bytes, BYTE, sizeof(bytes));
	if (random() % 4 == 0)
		pool_put(pool, bytes, (size_t)random() % sizeof(bytes));
}

static _Noreturn void
serve(struct rig *rig, int parent)
{
	const struct pool_config config = {.size = POOL, .max_handles = 16, .max_waiters = 16};
	struct handover *handover = handover_new(parent);
	struct estate *estate = estate_new(handover, 16, true);
	struct event_base *base = event_base_new();
	struct pool *pool = pool_new(&config);
	const char *address = rig->config.address;
	struct egd_server *server;

	estate_open(estate, &address, 1);
	if (egd_server_start(base, pool, estate, &rig->config, -1, &server) != 0)
		_exit(1);
	estate_settle(estate);
	handover_ready(handover);
	for (;;) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		refill(pool);
	}
}

/* ---- the parent who keeps ---- */

/*
 * The next message of a server's, or of its heir's, who may not wait for the answer: it takes one
 * that its server was killed before reading for its own.
 */
static enum kept_act
hear_server(struct rig *rig, struct kept *ret)
{
	struct pollfd p = {.fd = rig->parent, .events = POLLIN};
	enum kept_act act;
	int answered;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(kept_receive(rig->parent, &act, ret), 0);
	answered = kept_answer(rig->parent, KEPT_BY_PARENT);
	assert_true(answered == 0 || (act == KEPT_KEEP && answered == -EPIPE));
	return act;
}

static void
start_server(struct rig *rig, unsigned seed)
{
	struct kept none;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	if (rig->kept.path[0] != '\0')
		assert_int_equal(kept_send(ends[0], KEPT_KEEP, &rig->kept), 0);
	assert_int_equal(kept_send(ends[0], KEPT_END, NULL), 0);
	rig->server = fork();
	if (rig->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		srandom(seed);
		serve(rig, ends[1]);
	}
	close(ends[1]);
	rig->parent = ends[0];
	while (hear_server(rig, &none) != KEPT_READY)
		if (rig->kept.path[0] != '\0')
			kept_close(&rig->kept); /* it was told to forget it */
	rig->kept.path[0] = '\0';
}

static void
kill_server(struct rig *rig)
{
	int status;

	assert_int_equal(kill(rig->server, SIGKILL), 0);
	assert_int_equal(waitpid(rig->server, &status, 0), rig->server);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(hear_server(rig, &rig->kept), KEPT_KEEP);
	assert_int_equal(strncmp(rig->kept.path, KEPT_CLIENTS, strlen(KEPT_CLIENTS)), 0);
	close(rig->parent);
}

/* ---- the client ---- */

static void
ask_more(struct rig *rig)
{
	static const uint8_t add[] = {EGD_ADD, 0, 0, 3, 'a', 'd', 'd'};
	static const enum egd_op ops[] = {EGD_LEVEL, EGD_TRY, EGD_READ, EGD_READ, EGD_PID};

	while (rig->count < DEPTH) {
		struct egd_request request = {ops[random() % 5], (uint8_t)random()};
		uint8_t bytes[EGD_ASK_LEN];
		size_t len = egd_wire_put_request(request, bytes);

		if (random() % 8 == 0)
			assert_int_equal(send(rig->client, add, sizeof(add), 0), sizeof(add));
		assert_int_equal(send(rig->client, bytes, len, 0), len);
		rig->asked[(rig->first + rig->count++) % DEPTH] = request;
	}
}

static void
hear_bytes(struct rig *rig, uint8_t *ret, size_t len)
{
	for (ssize_t n; len > 0; ret += n, len -= (size_t)n) {
		struct pollfd p = {.fd = rig->client, .events = POLLIN};

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = recv(rig->client, ret, len, MSG_DONTWAIT);
		assert_true(n > 0);
	}
}

static void
is_all_of_the_pool(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], BYTE);
}

static void
hear_reply(struct rig *rig)
{
	struct egd_request asked = rig->asked[rig->first];
	uint8_t bytes[EGD_LEN_MAX + 1], count = asked.len;

	if (asked.op == EGD_TRY || asked.op == EGD_PID)
		hear_bytes(rig, &count, 1);
	if (asked.op == EGD_LEVEL) {
		hear_bytes(rig, bytes, EGD_LEVEL_LEN);
		assert_true(bytes[0] == 0 && bytes[1] <= POOL * 8 >> 16 && bytes[3] % 8 == 0);
	} else {
		hear_bytes(rig, bytes, count);
	}
	if (asked.op == EGD_TRY)
		assert_true(count <= asked.len);
	if (asked.op == EGD_PID)
		assert_true(count > 0 && strspn((char *)bytes, "0123456789") >= count);
	else if (asked.op != EGD_LEVEL)
		is_all_of_the_pool(bytes, count);
	rig->first = (rig->first + 1) % DEPTH;
	rig->count--;
	rig->heard++;
}

/* ---- */

static int
begin(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	strcpy(rig->dir, "/tmp/ekey-egd.XXXXXX");
	if (mkdtemp(rig->dir) == NULL)
		return -1;
	rig->config = (struct egd_listen_config){
		.name = "rig", .mode = 0600, .weight = 1, .max_clients = 8, .idle_ms = 3600000};
	sprintf(rig->config.address, "unix:%s/egd", rig->dir);
	*state = rig;
	return 0;
}

static int
end(void **state)
{
	struct rig *rig = *state;
	char path[64];

	sprintf(path, "%s/egd", rig->dir);
	unlink(path);
	rmdir(rig->dir);
	if (rig->kept.path[0] != '\0')
		kept_close(&rig->kept);
	close(rig->client);
	free(rig);
	return 0;
}

static void
every_reply_is_whole_and_in_order_whenever_a_server_is_killed(void **state)
{
	struct rig *rig = *state;
	char path[64];

	srandom(1);
	start_server(rig, 0);
	sprintf(path, "%s/egd", rig->dir);
	rig->client = net_unix_connect(path);
	assert_true(rig->client >= 0);
	for (unsigned i = 1; i <= KILLS; i++) {
		const struct timespec time = {.tv_nsec = random() % LIVES_US * 1000};

		ask_more(rig);
		for (unsigned n = (unsigned)random() % DEPTH; n > 0; n--)
			hear_reply(rig);
		nanosleep(&time, NULL);
		kill_server(rig);
		start_server(rig, i);
	}
	while (rig->count > 0)
		hear_reply(rig);
	print_message("%ju replies of %u servers\n", (uintmax_t)rig->heard, KILLS + 1);
	kill_server(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_reply_is_whole_and_in_order_whenever_a_server_is_killed, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
