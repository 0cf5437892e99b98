/* SPDX-License-Identifier: MIT */
/*
 * Many clients of one EGD server on the loopback, each with some requests always in flight:
 *     egd_load ADDRESS:PORT CLIENTS DEPTH LEN SECONDS PID
 * Client i comes from 127.1.x.y, so that each is an identity of its own. Written when the time is
 * over, and each client had some answers, as JSON: requests and bytes answered in the window,
 * durations of single requests, what CPU time process PID (the server) used in it, and Jain's index
 * of fairness over the clients' bytes: 1 when all got the same, 1/CLIENTS when one got all.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/address.h"
#include "tests/bench/samples.h"

#define SAMPLES_MAX 4000000
#define READ_LEN 65536
#define EVENTS 256
#define REQUESTS_EACH 20 /* on average, or one more and one less would be unfair: Jain's index */
#define LIMIT_NS UINT64_C(60000000000) /* of a window */
#define WARM_NS 500000000              /* before the window: what the pool held at first is gone */
#define ALL_NS UINT64_C(10000000000)   /* until then each client shall have had an answer */

struct client {
	int fd;
	bool heard;          /* it has had an answer */
	size_t partial;      /* bytes of the reply that is coming */
	uint64_t requests;   /* answered in the window */
	uint64_t *sent_ns;   /* a ring of `depth`: when those in flight were sent */
	size_t oldest, owed; /* in the ring; to be sent again */
};

struct load {
	struct address server;
	size_t clients, depth, len;
	uint64_t window_ns, end_ns;
	uint64_t cpu_ns; /* the server's: at the window's begin, then in it */
	const char *pid;
	struct client *all;
	struct samples samples;
	uint64_t requests;     /* answered in the window */
	size_t closed, silent; /* clients; those without an answer so far */
	uint64_t seconds;
	int epoll;
};

/* ---- one client ---- */

/* The replies' places in the ring are the new requests'. */
static void
client_ask(struct load *l, struct client *c)
{
	uint8_t requests[2 * 1024];
	size_t n = c->owed < 1024 ? c->owed : 1024;
	uint64_t now_ns = samples_now_ns();

	for (size_t i = 0; i < n; i++) {
		requests[2 * i] = 0x02;
		requests[2 * i + 1] = (uint8_t)l->len;
		c->sent_ns[(c->oldest + l->depth - c->owed + i) % l->depth] = now_ns;
	}
	if (send(c->fd, requests, 2 * n, MSG_NOSIGNAL) != (ssize_t)(2 * n))
		err(1, "send");
	c->owed -= n;
}

static void
client_open(struct load *l, struct client *c, size_t number)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	from.sin_addr.s_addr = htonl((uint32_t)(0x7f010001 + number));
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	c->sent_ns = calloc(l->depth, sizeof(*c->sent_ns));
	if (c->fd < 0 || c->sent_ns == NULL ||
	    bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(c->fd, &l->server.any, l->server.len) != 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
		err(1, "client %zu", number);
	c->owed = l->depth;
	while (c->owed > 0)
		client_ask(l, c);
}

static void
client_answered(struct load *l, struct client *c, uint64_t now_ns)
{
	l->silent -= !c->heard;
	c->heard = true;
	if (now_ns >= l->window_ns) {
		c->requests++;
		l->requests++;
		samples_add(&l->samples, now_ns - c->sent_ns[c->oldest]);
	}
	c->oldest = (c->oldest + 1) % l->depth;
	c->owed++;
}

static void
client_read(struct load *l, struct client *c)
{
	static uint8_t bytes[READ_LEN];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	uint64_t now_ns = samples_now_ns();

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		l->closed++;
		close(c->fd);
		return;
	}
	for (c->partial += (size_t)n; c->partial >= l->len; c->partial -= l->len)
		client_answered(l, c, now_ns);
	while (c->owed > 0)
		client_ask(l, c);
}

/* ---- all of them ---- */

/* Of a process of one thread, so far. */
static uint64_t
server_cpu_ns(const char *pid)
{
	char path[64];
	uint64_t ns;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	file = fopen(path, "re");
	if (file == NULL || fscanf(file, "%" SCNu64, &ns) != 1)
		err(1, "%s", path);
	fclose(file);
	return ns;
}

static bool
window_is_over(const struct load *l, uint64_t now_ns)
{
	return now_ns >= l->end_ns &&
	       (l->requests >= l->clients * REQUESTS_EACH || now_ns >= l->window_ns + LIMIT_NS);
}

/* Half a second after the server has got to know all of them. */
static bool
window_begins(struct load *l, uint64_t now_ns)
{
	if (l->window_ns == UINT64_MAX && (l->silent == 0 || now_ns >= l->end_ns)) {
		l->window_ns = now_ns + WARM_NS;
		l->end_ns = l->window_ns + l->seconds * 1000000000;
	}
	return now_ns >= l->window_ns;
}

/* Until the window begins, or is over. */
static uint64_t
load_run(struct load *l, bool window)
{
	struct epoll_event events[EVENTS];
	uint64_t now_ns;

	while (now_ns = samples_now_ns(),
	       window ? !window_is_over(l, now_ns) : !window_begins(l, now_ns)) {
		int n = epoll_wait(l->epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++)
			client_read(l, events[i].data.ptr);
	}
	return now_ns;
}

static double
load_jain(const struct load *l)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < l->clients; i++) {
		double x = (double)l->all[i].requests;

		sum += x;
		squares += x * x;
	}
	return squares > 0 ? sum * sum / ((double)l->clients * squares) : 0;
}

static void
load_report(struct load *l)
{
	printf("{\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"p50_ns\": %" PRIu64
	       ", \"p99_ns\": %" PRIu64 ", \"jain\": %.4f, \"closed\": %zu, \"cpu_ns\": %" PRIu64
	       ", \"seconds\": %.3f}\n",
	       l->requests, l->requests * l->len, samples_percentile(&l->samples, 50),
	       samples_percentile(&l->samples, 99), load_jain(l), l->closed, l->cpu_ns,
	       (double)(l->end_ns - l->window_ns) / 1e9);
}

static void
raise_file_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t
number(const char *text, size_t max)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (value == 0 || value > max)
		errx(2, "%s: 1 to %zu are possible", text, max);
	return value;
}

int
main(int argc, char **argv)
{
	struct load l = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	const char *error;

	if (argc != 7)
		errx(2, "usage: egd_load ADDRESS:PORT CLIENTS DEPTH LEN SECONDS PID");
	error = address_parse_inet(argv[1], &l.server);
	if (error != NULL)
		errx(2, "%s: %s", argv[1], error);
	l.clients = number(argv[2], 60000);
	l.depth = number(argv[3], 10000);
	l.len = number(argv[4], 255);
	l.seconds = number(argv[5], 600);
	l.pid = argv[6];
	raise_file_limit();
	samples_init(&l.samples, SAMPLES_MAX);
	l.all = calloc(l.clients, sizeof(*l.all));
	if (l.all == NULL)
		err(1, "clients");
	l.window_ns = UINT64_MAX;
	l.silent = l.clients;
	for (size_t i = 0; i < l.clients; i++)
		client_open(&l, &l.all[i], i);
	l.end_ns = samples_now_ns() + ALL_NS;
	load_run(&l, false);
	l.cpu_ns = server_cpu_ns(l.pid);
	l.end_ns = load_run(&l, true);
	l.cpu_ns = server_cpu_ns(l.pid) - l.cpu_ns;
	load_report(&l);
	return 0;
}
