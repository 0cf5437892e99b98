/* SPDX-License-Identifier: MIT */
/*
 * Reads a device COUNT times, SIZE bytes at once, and says as one line of JSON how long that took
 * and how long one read took: `reader PATH SIZE COUNT`. Pinning is for who starts it.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/num.h"
#include "tests/bench/samples.h"

#define WARM_UP_PART 16 /* of all reads: the first find cold caches and a sleeping server */

static size_t
read_once(int fd, uint8_t *bytes, size_t size)
{
	ssize_t n = read(fd, bytes, size);

	if (n <= 0)
		err(1, "read"); /* never an error and never an end of file, doc/design.md */
	return (size_t)n;
}

static void
measure(int fd, size_t size, uint64_t count)
{
	struct samples reads;
	uint8_t *bytes = malloc(size);
	uint64_t total = 0, start, before, now;

	if (bytes == NULL)
		err(1, "buffer");
	samples_init(&reads, count);
	for (uint64_t i = 0; i < count / WARM_UP_PART; i++)
		read_once(fd, bytes, size);
	start = now = samples_now_ns();
	while (reads.len < count) {
		before = now;
		total += read_once(fd, bytes, size);
		now = samples_now_ns();
		samples_add(&reads, now - before);
	}
	printf("{\"reads\": %zu, \"bytes\": %" PRIu64 ", \"wall_ns\": %" PRIu64, reads.len, total,
	       now - start);
	printf(", \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 "}\n",
	       samples_percentile(&reads, 50), samples_percentile(&reads, 99));
	samples_finish(&reads);
	free(bytes);
}

int
main(int argc, char **argv)
{
	uint64_t size, count;
	int fd;

	if (argc != 4 || !num_parse(argv[2], 1 << 30, &size) || size == 0 ||
	    !num_parse(argv[3], 100000000, &count))
		errx(2, "usage: reader PATH SIZE COUNT");
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", argv[1]);
	measure(fd, size, count);
	close(fd);
	return 0;
}
