/* SPDX-License-Identifier: MIT */
/* The log: what is written when stderr takes no more, and how many lines a stranger can cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

#define LIMIT_S 10  /* a log that waits is ended by SIGALRM */
#define LINES 20000 /* more than a pipe, a socket or a terminal holds */

/* ---- stderr is one end of something, and the other end is not read ---- */

static int reader;

static void
stderr_into(int read_end, int write_end)
{
	alarm(LIMIT_S);
	assert_true(read_end >= 0 && write_end >= 0);
	assert_int_equal(dup2(write_end, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(fcntl(read_end, F_SETFL, O_NONBLOCK), 0);
	reader = read_end;
}

static void
stderr_into_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	stderr_into(ends[0], ends[1]);
}

static void
stderr_into_socket(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	stderr_into(ends[0], ends[1]);
}

static void
stderr_into_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_true(grantpt(master) == 0 && unlockpt(master) == 0);
	stderr_into(master, open(ptsname(master), O_RDWR | O_NOCTTY));
}

/* All of it so far. */
static const char *
what_was_written(void)
{
	static char text[1 << 20];
	static size_t len;
	ssize_t n;

	while ((n = read(reader, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static unsigned
lines_of(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* In a child, whose stderr can be anything. Its exit status. */
static int
status_of_child(int (*act)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(act());
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The sum of what the notices in `text` say. A terminal may have taken a part of one. */
static unsigned
dropped_by(const char *text, unsigned *ret_notices)
{
	unsigned sum = 0, dropped;
	int len;

	for (*ret_notices = 0; (text = strstr(text, "stderr was")) != NULL; text++) {
		len = 0;
		(void)sscanf(text, "stderr was blocked: %u lines were dropped%n", &dropped, &len);
		if (len == 0 || (text[len] != '\r' && text[len] != '\n'))
			continue;
		sum += dropped;
		++*ret_notices;
	}
	return sum;
}

/*
 * 0: some lines were dropped, and each line is there, or counted. A terminal has what was written
 * some time later: it is read until all is there, or SIGALRM comes.
 */
static int
log_more_than_is_read(void)
{
	unsigned logged = LINES, whole, dropped, notices;
	size_t seen = 0, len;

	for (unsigned i = 0; i < LINES; i++)
		log_info("line %u", i);
	do {
		const char *text = what_was_written();

		dropped = dropped_by(text, &notices);
		whole = lines_of(text) - notices;
		len = strlen(text);
		if (len == seen) {
			log_info("afterwards");
			logged++;
		}
		seen = len;
	} while (dropped == 0 || whole + dropped != logged);
	return whole > 0 ? 0 : 1;
}

static int
log_into_pipe(void)
{
	stderr_into_pipe();
	return log_more_than_is_read();
}

static int
log_into_socket(void)
{
	stderr_into_socket();
	return log_more_than_is_read();
}

static int
log_into_terminal(void)
{
	stderr_into_terminal();
	log_open();
	return log_more_than_is_read();
}

static void
log_that_is_not_read_makes_nobody_wait_and_counts_what_it_drops(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(log_into_pipe), 0);
	assert_int_equal(status_of_child(log_into_socket), 0);
	assert_int_equal(status_of_child(log_into_terminal), 0);
}

static int
open_shared(void)
{
	int shared;

	stderr_into_terminal();
	shared = dup(STDERR_FILENO);
	log_open();
	if ((fcntl(shared, F_GETFL) & O_NONBLOCK) != 0)
		return 1;
	log_info("line");
	while (strcmp(what_was_written(), "line\r\n") != 0)
		;
	return (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) != 0 ? 0 : 2;
}

static void
terminal_that_others_write_to_stays_as_it_is(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(open_shared), 0);
}

static int
log_long_line(void)
{
	const char *text;
	char line[4000];

	stderr_into_pipe();
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	log_info("%s", line);
	text = what_was_written();
	return lines_of(text) == 1 && text[strlen(text) - 1] == '\n' ? 0 : 1;
}

static void
long_line_is_cut_and_ends(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(log_long_line), 0);
}

/* JOURNAL_STREAM names the pipe; and then another one, for the variable is inherited. */
static int
log_to_journal_and_not(void)
{
	struct stat st;
	char stream[100];

	stderr_into_pipe();
	for (ino_t off = 0; off < 2; off++) {
		(void)fstat(STDERR_FILENO, &st);
		snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
			 (uintmax_t)(st.st_ino + off));
		setenv("JOURNAL_STREAM", stream, 1);
		log_warn("a line of %d words", 5);
	}
	return strcmp(what_was_written(), "<4>a line of 5 words\na line of 5 words\n");
}

static void
levels_are_for_the_journal_only(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(log_to_journal_and_not), 0);
}

/* ---- limits ---- */

static int
log_limited(void)
{
	struct log_limit limit = {0};
	const uint64_t now_ms = 500;

	stderr_into_pipe();
	for (unsigned i = 0; i < 3; i++)
		log_warn_limited(&limit, 7, now_ms + i * (LOG_LIMIT_MS / 2 - 1), "seven %u", i);
	log_warn_limited(&limit, 7, now_ms + LOG_LIMIT_MS, "seven again");
	log_warn_limited(&limit, 7, now_ms + 2 * LOG_LIMIT_MS, "and again");
	return strcmp(what_was_written(),
		      "seven 0\nseven again (2 such lines were suppressed before)\nand again\n");
}

static void
limited_line_is_written_once_in_its_time_and_counts_the_others(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(log_limited), 0);
}

static int
log_of_peers(void)
{
	struct log_limit limit = {0};
	unsigned lines;

	stderr_into_pipe();
	for (unsigned i = 0; i < 1000; i++)
		log_warn_limited(&limit, 7, 500, "loud");
	log_warn_limited(&limit, 8, 500, "quiet");
	if (strcmp(what_was_written(), "loud\nquiet (999 such lines were suppressed before)\n") !=
	    0)
		return 1;
	for (unsigned peer = 0; peer < 1000; peer++)
		log_warn_limited(&limit, peer, 501, "many");
	lines = lines_of(what_was_written());
	return lines == LOG_LIMIT_PEERS ? 0 : 2;
}

static void
lines_about_one_peer_do_not_hide_those_about_another(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(log_of_peers), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_that_is_not_read_makes_nobody_wait_and_counts_what_it_drops),
		cmocka_unit_test(terminal_that_others_write_to_stays_as_it_is),
		cmocka_unit_test(long_line_is_cut_and_ends),
		cmocka_unit_test(levels_are_for_the_journal_only),
		cmocka_unit_test(limited_line_is_written_once_in_its_time_and_counts_the_others),
		cmocka_unit_test(lines_about_one_peer_do_not_hide_those_about_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
