/* SPDX-License-Identifier: MIT */
#include "egd/feed/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "egd/feed/options.h"
#include "lib/priv/random.h"

#define TEXT_MAX 4096
#define PATH_LEN_MAX 4096

/* A last feed that is older than this many intervals is stale. */
#define STALE_INTERVALS 3

/* ---- writing ---- */

struct text {
	char bytes[TEXT_MAX];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->bytes + t->len, sizeof(t->bytes) - t->len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(t->bytes) - t->len)
		t->len += (size_t)n;
}

/* Escapes a backslash and a quote in a label's value. */
static void
upstream_figure(struct text *t, const char *upstream)
{
	say(t, "# HELP ekey_feed_upstream_info The server that delivered last.\n"
	       "# TYPE ekey_feed_upstream_info gauge\nekey_feed_upstream_info{address=\"");
	for (; *upstream != '\0'; upstream++) {
		if (*upstream == '\\' || *upstream == '"')
			say(t, "\\");
		say(t, "%c", *upstream >= ' ' ? *upstream : '?');
	}
	say(t, "\"} 1\n");
}

/* Values are thousandths of the units, which are those of Prometheus: bytes and seconds. */
static void
compose(const struct report *r, struct text *t)
{
	const struct {
		const char *name, *type, *help;
		uint64_t thousandths;
	} figures[] = {
		{"feeds_total", "counter", "Times that the kernel was fed.", r->feeds * 1000},
		{"failures_total", "counter",
		 "Times that no server delivered, or the kernel refused.", r->failures * 1000},
		{"fed_bytes_total", "counter", "Given to the kernel's random generator.",
		 r->fed_bytes * 1000},
		{"credited_bytes_total", "counter", "Entropy that was credited for them.",
		 r->credited_bits * 125},
		{"interval_seconds", "gauge", "Between two feeds.", r->interval_ms},
		{"crng_ready", "gauge", "1 when the kernel's random generator is ready.",
		 r->ready ? 1000 : 0},
		{"last_feed_timestamp_seconds", "gauge", "When the kernel was last fed.",
		 r->last_feed_s * 1000},
	};
	size_t count = sizeof(figures) / sizeof(figures[0]) - (r->last_feed_s == 0);

	for (size_t i = 0; i < count; i++) {
		say(t, "# HELP ekey_feed_%s %s\n# TYPE ekey_feed_%s %s\nekey_feed_%s %" PRIu64,
		    figures[i].name, figures[i].help, figures[i].name, figures[i].type,
		    figures[i].name, figures[i].thousandths / 1000);
		if (figures[i].thousandths % 1000 != 0)
			say(t, ".%03u", (unsigned)(figures[i].thousandths % 1000));
		say(t, "\n");
	}
	if (r->upstream != NULL)
		upstream_figure(t, r->upstream);
}

/*
 * Makes a file of a new name, which replaces the XXXXXX at the end of `name`. An existing file is
 * never opened: a FIFO would block.
 */
static int
write_new(char *name, const struct text *t)
{
	int fd = mkostemp(name, O_CLOEXEC), result;

	if (fd < 0)
		return -errno;
	result = write(fd, t->bytes, t->len) == (ssize_t)t->len && fchmod(fd, 0644) == 0 ? 0
											 : -errno;
	if (close(fd) != 0 && result == 0)
		result = -errno;
	if (result < 0)
		unlink(name);
	return result;
}

/* The collector reads files whose names end in .prom: the temporary one must not. */
int
report_write(const struct report *report, const char *path)
{
	char beside[PATH_LEN_MAX + sizeof(".XXXXXX")];
	struct text t = {.len = 0};
	int result;

	if (snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	compose(report, &t);
	result = write_new(beside, &t);
	if (result == 0 && rename(beside, path) != 0) {
		result = -errno;
		unlink(beside);
	}
	return result;
}

/* ---- showing ---- */

struct seen {
	uint64_t last_feed_s, interval_s; /* 0: the file has none */
};

/* Prints one value of the file; notes those that show_age() needs. */
static void
show_line(const char *line, struct seen *seen)
{
	char name[64] = "upstream", value[256];

	if (sscanf(line, "ekey_feed_upstream_info{address=\"%255[^\"]", value) != 1 &&
	    sscanf(line, "ekey_feed_%63s %255s", name, value) != 2)
		return;
	if (strcmp(name, "crng_ready") == 0)
		return; /* show_kernel() has the value of now */
	if (strcmp(name, "interval_seconds") == 0)
		seen->interval_s = strtoull(value, NULL, 10);
	if (strcmp(name, "last_feed_timestamp_seconds") == 0)
		seen->last_feed_s = strtoull(value, NULL, 10);
	else
		printf("  %-24s %s\n", name, value);
}

static void
show_kernel(void)
{
	int fd = priv_open_random(), bits = fd >= 0 ? priv_random_level(fd) : fd;

	printf("kernel\n  %-24s %s\n", "ready", priv_random_ready() ? "yes" : "no");
	if (bits >= 0)
		printf("  %-24s %d\n", "entropy_avail_bits", bits);
	if (fd >= 0)
		close(fd);
}

static int
show_age(const struct seen *seen)
{
	uint64_t now_s = (uint64_t)time(NULL);
	uint64_t age_s = now_s > seen->last_feed_s ? now_s - seen->last_feed_s : 0;

	if (seen->last_feed_s == 0) {
		printf("  %-24s never\n", "last_feed");
		return FEED_EXIT_STALE;
	}
	printf("  %-24s %" PRIu64 " s ago\n", "last_feed", age_s);
	return age_s > STALE_INTERVALS * (seen->interval_s + 1) ? FEED_EXIT_STALE : FEED_EXIT_OK;
}

int
report_show(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* must not block on a FIFO */
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct seen seen = {0};
	char line[512];
	int result;

	show_kernel();
	if (file == NULL) {
		fprintf(stderr, "ekey-feed: %s: %s: does an ekey-feed run with --textfile there?\n",
			path, strerror(errno));
		return FEED_EXIT_NO_STATUS;
	}
	printf("feed\n");
	while (fgets(line, sizeof(line), file) != NULL)
		show_line(line, &seen);
	result = show_age(&seen);
	fclose(file);
	return result;
}
