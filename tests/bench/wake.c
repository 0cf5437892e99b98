/* SPDX-License-Identifier: MIT */
/*
 * How long a frame on the wire takes to wake who waits for it. This process is the key and also the
 * reader: `wake SOCKET KEYRING COUNT device PATH` or `... egd PATH` (ekeyd's outlet). The host, not
 * started here, takes the key's frames from SOCKET. One line of JSON.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/net.h"
#include "lib/num.h"
#include "tests/bench/key.h"
#include "tests/bench/samples.h"

#define BLOCK_LEN 32
#define PRIME_FRAMES 64 /* twice what start-up health tests hold back */
#define GAP_MIN_US 2000 /* between frames: everybody is asleep again by then */
#define GAP_SPREAD_US 6000
#define ANSWER_WAIT_S 10

struct reader {
	int fd;
	bool egd;
	sem_t woken;
	uint64_t woken_ns; /* written before `woken` is posted */
};

static void
read_block(const struct reader *r)
{
	uint8_t bytes[BLOCK_LEN];

	if (r->egd && write(r->fd, (const uint8_t[]){0x02, BLOCK_LEN}, 2) != 2)
		err(1, "egd request");
	for (size_t len = 0; len < BLOCK_LEN;) {
		ssize_t n = read(r->fd, bytes + len, BLOCK_LEN - len);

		if (n <= 0)
			err(1, "read");
		len += (size_t)n;
	}
}

static void *
reader_run(void *arg)
{
	struct reader *r = arg;

	for (;;) {
		read_block(r);
		r->woken_ns = samples_now_ns();
		sem_post(&r->woken);
	}
	return NULL;
}

static void
reader_start(struct reader *r, const char *kind, const char *path)
{
	pthread_t thread;

	r->egd = strcmp(kind, "egd") == 0;
	r->fd = r->egd ? net_unix_connect(path) : open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		errx(1, "cannot open %s", path);
	fcntl(r->fd, F_SETFL, 0); /* net_unix_connect() gives a non-blocking one */
	sem_init(&r->woken, 0, 0);
	if (pthread_create(&thread, NULL, reader_run, r) != 0)
		errx(1, "no thread");
	pthread_detach(thread);
}

/* Sends one frame; how long until the reader had its bytes. */
static uint64_t
wake_once(struct key *k, struct reader *r)
{
	struct timespec limit;
	uint8_t frame[64];
	uint64_t sent_ns;

	key_prepare(k, frame);
	sent_ns = samples_now_ns();
	key_write(k, frame);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += ANSWER_WAIT_S;
	if (sem_timedwait(&r->woken, &limit) != 0)
		errx(1, "no answer to a frame within %d s", ANSWER_WAIT_S);
	return r->woken_ns - sent_ns;
}

/* Frames that start-up tests hold back come out together. */
static void
prime(struct key *k, struct reader *r)
{
	uint8_t frame[64];

	for (int i = 0; i < PRIME_FRAMES; i++) {
		key_prepare(k, frame);
		key_write(k, frame);
	}
	for (int i = 0; i < PRIME_FRAMES; i++)
		sem_wait(&r->woken);
}

int
main(int argc, char **argv)
{
	struct samples wakes;
	struct reader reader = {0};
	struct key key;
	uint64_t count;

	if (argc != 6 || !num_parse(argv[3], KEY_FRAMES_MAX - PRIME_FRAMES, &count))
		errx(2, "usage: wake SOCKET KEYRING COUNT device|egd PATH");
	samples_init(&wakes, count);
	key_open(&key, argv[1], argv[2]);
	reader_start(&reader, argv[4], argv[5]);
	prime(&key, &reader);
	for (uint64_t i = 0; i < count; i++) {
		usleep(GAP_MIN_US + (unsigned)random() % GAP_SPREAD_US);
		samples_add(&wakes, wake_once(&key, &reader));
	}
	printf("{\"frames\": %zu, \"p50_ns\": %" PRIu64, wakes.len, samples_percentile(&wakes, 50));
	printf(", \"p99_ns\": %" PRIu64 "}\n", samples_percentile(&wakes, 99));
	samples_finish(&wakes);
	key_close(&key);
	return 0;
}
