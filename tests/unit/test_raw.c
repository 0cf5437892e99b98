/* SPDX-License-Identifier: MIT */
/* A source of type raw, with its real link, intake and pool, on real FIFOs, ttys and devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/source.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_lines.h"
#include "tests/unit/stopped_clock.h"

#define PIECE 64
#define MIX_MS 60000
#define TIMEOUT_MS 30000
#define QUARANTINE_MS 60000
#define SENT_MAX (1 << 16)
#define TURNS_MAX 1000000

struct rig {
	struct source_env env;
	struct source_config config;
	struct pool_account account;
	struct pool_handle handle;
	unsigned credit;
	struct source *source;
	char dir[FOLDER_MAX], path[FOLDER_MAX + 8];
	int writer; /* of the FIFO; -1: none */
	uint8_t sent[SENT_MAX];
	size_t sent_len, taken, mixed;
	uint64_t random;
	int log; /* stderr as it was */
};

static void
on_room(void *arg)
{
	struct rig *r = arg;

	if (r->source != NULL)
		source_room(r->source);
}

static void
on_mix(void *arg, const uint8_t *bytes, size_t len)
{
	struct rig *r = arg;

	assert_memory_equal(bytes, r->sent + r->sent_len - len, len);
	r->mixed += len;
}

static int
set_up(void **state)
{
	const struct pool_config pool = {.size = POOL_SIZE_MIN, .max_handles = 1, .max_waiters = 1};
	const struct pool_client client = {.weight = 1};
	struct rig *r = calloc(1, sizeof(*r));

	stopped_clock_begin(NULL);
	if (!folder_make(r->dir))
		return -1;
	sprintf(r->path, "%s/raw", r->dir);
	r->writer = -1;
	r->random = 1;
	r->credit = SOURCE_CREDIT_MAX;
	r->env = (struct source_env){
		.base = event_base_new(), .pool = pool_new(&pool), .credit = &r->credit};
	pool_on_room(r->env.pool, on_room, r);
	pool_handle_open(r->env.pool, &r->handle, &r->account, &client);
	r->config = (struct source_config){.name = "rng",
					   .type = SOURCE_RAW,
					   .h = HEALTH_H_DEFAULT,
					   .credit = 3,
					   .trust = SOURCE_TRUST_YES,
					   .timeout_ms = TIMEOUT_MS};
	r->log = log_lines_begin();
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	log_lines_end(r->log);
	source_free(&r->source);
	if (r->writer >= 0)
		close(r->writer);
	pool_handle_close(r->env.pool, &r->handle);
	pool_free(&r->env.pool);
	event_base_free(r->env.base);
	unlink(r->path);
	rmdir(r->dir);
	free(r);
	return 0;
}

static void
turn(struct rig *r)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(r->env.base, EVLOOP_NONBLOCK);
}

static void
wait_ms(struct rig *r, uint64_t ms)
{
	stopped_clock_advance(ms);
	turn(r);
}

static void
start(struct rig *r, const char *address)
{
	strcpy(r->config.address, address);
	r->source = source_new(&r->env, &r->config);
	assert_non_null(r->source);
	turn(r);
}

static void
start_fifo(struct rig *r)
{
	assert_int_equal(mkfifo(r->path, 0600), 0);
	start(r, r->path);
	r->writer = open(r->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

static struct source_status
status(const struct rig *r)
{
	struct source_status s;

	source_status(r->source, &s);
	return s;
}

/* Sends bytes that pass every test. */
static void
send_bytes(struct rig *r, int fd, size_t len)
{
	assert_true(len <= SENT_MAX - r->sent_len);
	for (size_t i = 0; i < len; i++) {
		r->random = r->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		r->sent[r->sent_len + i] = (uint8_t)(r->random >> 56);
	}
	assert_int_equal(write(fd, r->sent + r->sent_len, len), len);
	r->sent_len += len;
	turn(r);
}

/* Takes all that the pool has: it must be what was sent, in order. */
static void
take(struct rig *r)
{
	uint8_t bytes[POOL_SIZE_MIN];
	size_t n;

	while ((n = pool_take(r->env.pool, &r->handle, bytes, sizeof(bytes))) > 0) {
		assert_memory_equal(bytes, r->sent + r->taken, n);
		r->taken += n;
		turn(r);
	}
}

static void
bytes_of_a_fifo_enter_the_pool_whole_and_in_order(void **state)
{
	struct rig *r = *state;

	start_fifo(r);
	assert_string_equal(status(r).state, "open, no byte has come yet");
	assert_false(status(r).serves);
	for (size_t i = 1; i < 200; i++) {
		send_bytes(r, r->writer, i);
		take(r);
	}
	take(r);
	assert_int_equal(r->taken, r->sent_len);
	assert_true(status(r).serves);
	assert_string_equal(status(r).use, "pool");
	assert_int_equal(status(r).raw.bytes, r->sent_len);
	assert_int_equal(r->credit, 3);
	assert_int_equal(log_lines_count("sends bytes\n"), 1);
}

static void
full_pool_stops_the_reading_and_loses_nothing(void **state)
{
	struct rig *r = *state;

	start_fifo(r);
	for (int i = 0; i < 3; i++)
		send_bytes(r, r->writer, POOL_SIZE_MIN);
	assert_true(status(r).paused);
	wait_ms(r, 10 * TIMEOUT_MS);
	assert_true(status(r).connected);
	take(r);
	assert_int_equal(r->taken, r->sent_len);
	assert_false(status(r).paused);
}

static void
bytes_are_not_trusted_unless_the_configuration_says_so(void **state)
{
	struct rig *r = *state;

	r->config.trust = SOURCE_TRUST_BY_ADDRESS;
	r->env.mix = on_mix;
	r->env.mix_arg = r;
	start_fifo(r);
	assert_int_equal(log_lines_count("without credit; if they are, write: trusted = yes"), 1);
	send_bytes(r, r->writer, PIECE);
	assert_int_equal(r->mixed, PIECE);
	assert_string_equal(status(r).use, "kernel");
	assert_int_equal(status(r).credit, 0);
	assert_false(status(r).serves);
	assert_int_equal(pool_level(r->env.pool), 0);
	/* A piece a minute. */
	send_bytes(r, r->writer, PIECE);
	wait_ms(r, MIX_MS - 1);
	assert_int_equal(r->mixed, PIECE);
	wait_ms(r, 1);
	assert_int_equal(r->mixed, 2 * PIECE);
	assert_int_equal(r->credit, SOURCE_CREDIT_MAX);
}

static void
bytes_without_a_use_are_not_read(void **state)
{
	struct rig *r = *state;

	r->config.trust = SOURCE_TRUST_NO;
	start_fifo(r);
	send_bytes(r, r->writer, 1000);
	wait_ms(r, 10 * TIMEOUT_MS);
	assert_int_equal(status(r).raw.bytes, 0);
	assert_true(status(r).connected);
	assert_string_equal(status(r).state, "open, but not used");
	assert_string_equal(status(r).use, "none");
}

/* /dev/urandom stands for /dev/hwrng: epoll refuses both. */
static void
device_that_epoll_refuses_is_read_on_a_timer(void **state)
{
	struct rig *r = *state;
	uint64_t before;

	start(r, "/dev/urandom");
	for (int i = 0; i < 10; i++)
		wait_ms(r, 50);
	assert_int_equal(pool_level(r->env.pool), POOL_SIZE_MIN);
	assert_true(status(r).paused);
	before = status(r).raw.bytes;
	wait_ms(r, 10 * TIMEOUT_MS);
	assert_int_equal(status(r).raw.bytes, before);
	assert_int_equal(pool_take(r->env.pool, &r->handle, r->sent, 4096), 4096);
	turn(r);
	wait_ms(r, 50);
	wait_ms(r, 50);
	assert_int_equal(pool_level(r->env.pool), POOL_SIZE_MIN);
}

static void
hardware_generator_serves_where_there_is_one(void **state)
{
	struct rig *r = *state;

	if (access("/dev/hwrng", R_OK) != 0) {
		print_message("SKIPPED: /dev/hwrng cannot be read here\n");
		skip();
	}
	start(r, "/dev/hwrng");
	for (int i = 0; i < TIMEOUT_MS - 1 && status(r).raw.bytes == 0; i++)
		wait_ms(r, 1);
	if (status(r).raw.bytes == 0) {
		print_message("SKIPPED: /dev/hwrng has no bytes here: %s\n", status(r).state);
		skip();
	}
	assert_true(status(r).serves);
}

static void
stuck_device_is_quarantined_and_not_read_meanwhile(void **state)
{
	struct rig *r = *state;
	uint64_t before;

	start(r, "/dev/zero");
	wait_ms(r, 50);
	assert_int_equal(status(r).health, INTAKE_QUARANTINE);
	assert_int_equal(pool_level(r->env.pool), 0);
	before = status(r).raw.bytes;
	wait_ms(r, QUARANTINE_MS - 100);
	assert_int_equal(status(r).raw.bytes, before);
	wait_ms(r, 100);
	wait_ms(r, 50);
	assert_true(status(r).raw.bytes > before);
	assert_int_equal(pool_level(r->env.pool), 0);
}

static void
writer_that_goes_and_comes_is_read_again(void **state)
{
	struct rig *r = *state;

	start_fifo(r);
	send_bytes(r, r->writer, 4096);
	close(r->writer);
	turn(r);
	assert_int_equal(log_lines_count("raw is gone: closed by the other side\n"), 1);
	assert_false(status(r).serves);
	wait_ms(r, 1000);
	r->writer = open(r->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(r->writer >= 0);
	send_bytes(r, r->writer, 4096);
	take(r);
	assert_int_equal(r->taken, r->sent_len);
	assert_int_equal(status(r).connects, 2);
}

static void
silent_device_is_opened_again(void **state)
{
	struct rig *r = *state;

	start_fifo(r);
	send_bytes(r, r->writer, PIECE);
	wait_ms(r, TIMEOUT_MS - 1);
	assert_int_equal(status(r).connects, 1);
	wait_ms(r, 1);
	assert_int_equal(log_lines_count("raw is gone: no byte came for 30 s\n"), 1);
	for (int i = 0; i < 100; i++)
		wait_ms(r, 1000);
	assert_true(status(r).connects > 1);
	assert_int_equal(log_lines_count("no byte came"), 1);
}

/* A machine that was cloned has the same bytes in its FIFO as the other one. */
static void
bytes_from_before_a_clone_are_dropped(void **state)
{
	struct rig *r = *state;

	start_fifo(r);
	send_bytes(r, r->writer, 100); /* held by the start-up test */
	source_renew(r->source);
	send_bytes(r, r->writer, 5000);
	for (int i = 0; i < 20; i++)
		wait_ms(r, 25);
	assert_int_equal(pool_level(r->env.pool), 0);
	r->taken = r->sent_len;
	send_bytes(r, r->writer, 4096);
	take(r);
	assert_int_equal(r->taken, r->sent_len);
}

static void
tty_passes_every_byte_unchanged(void **state)
{
	struct rig *r = *state;
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	start(r, ptsname(master));
	for (int i = 0; i < 32; i++) {
		send_bytes(r, master, 256);
		/* The kernel passes them on in its own time. */
		for (int n = 0; n < TURNS_MAX && status(r).raw.bytes < r->sent_len; n++)
			turn(r);
		take(r);
	}
	assert_int_equal(r->taken, r->sent_len);
	close(master);
	turn(r);
	assert_false(status(r).connected);
}

static void
unix_socket_is_read(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct rig *r = *state;
	char address[FOLDER_MAX + 16];

	strcpy(at.sun_path, r->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	sprintf(address, "unix:%s", r->path);
	start(r, address);
	fd = accept(listener, NULL, NULL);
	send_bytes(r, fd, 4096);
	take(r);
	assert_int_equal(r->taken, r->sent_len);
	close(fd);
	close(listener);
}

/* A recording would be served again after each restart. */
static void
regular_file_is_no_source(void **state)
{
	struct rig *r = *state;

	close(open(r->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	start(r, r->path);
	assert_false(status(r).connected);
	assert_non_null(strstr(status(r).state, "expected a character device, a tty or a FIFO"));
}

static void
sections_that_cannot_be_right_are_refused(void **state)
{
	static const char *const wrong[] = {"usb", "tcp:h:1", "vsock:2:1", "/a, /b", "xen"};
	static const char *const right[] = {"/dev/hwrng", "unix:/run/rng"};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(r->config.address, wrong[i]);
		assert_non_null(source_config_error(&r->config));
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		strcpy(r->config.address, right[i]);
		assert_null(source_config_error(&r->config));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_of_a_fifo_enter_the_pool_whole_and_in_order),
		TEST(full_pool_stops_the_reading_and_loses_nothing),
		TEST(bytes_are_not_trusted_unless_the_configuration_says_so),
		TEST(bytes_without_a_use_are_not_read),
		TEST(device_that_epoll_refuses_is_read_on_a_timer),
		TEST(hardware_generator_serves_where_there_is_one),
		TEST(stuck_device_is_quarantined_and_not_read_meanwhile),
		TEST(writer_that_goes_and_comes_is_read_again),
		TEST(silent_device_is_opened_again),
		TEST(bytes_from_before_a_clone_are_dropped),
		TEST(tty_passes_every_byte_unchanged),
		TEST(unix_socket_is_read),
		TEST(regular_file_is_no_source),
		TEST(sections_that_cannot_be_right_are_refused),
	};

	return cmocka_run_group_tests_name("raw", tests, NULL, NULL);
}
