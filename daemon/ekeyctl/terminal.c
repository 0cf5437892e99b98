/* SPDX-License-Identifier: MIT */
#include "daemon/ekeyctl/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lib/secret.h"

static void
terminal_write(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return; /* the terminal is gone */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* Blocks signals that end or stop this process until the terminal is restored. */
static int
terminal_hold_signals(sigset_t *ret_before)
{
	static const int held[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Reads one line; -EINTR when a signal came first, which stays pending until it is unblocked. */
static int
terminal_read(int tty, int signals, char *ret, size_t cap)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = tty, .events = POLLIN}};
	ssize_t n;

	if (poll(fds, 2, -1) < 0)
		return -errno;
	if (fds[0].revents != 0)
		return -EINTR;
	n = read(tty, ret, cap);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECANCELED;
	if (ret[n - 1] != '\n')
		return -EMSGSIZE;
	ret[n - 1] = '\0';
	return 0;
}

/* Prompts after echo is off, so that an immediate answer is not echoed either. */
static int
terminal_ask_unseen(int tty, int signals, const char *prompt, char *ret, size_t cap)
{
	struct termios before, unseen;
	int result;

	if (tcgetattr(tty, &before) != 0)
		return -errno;
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	unseen.c_lflag |= ICANON | ISIG;
	if (tcsetattr(tty, TCSAFLUSH, &unseen) != 0)
		return -errno;
	terminal_write(tty, prompt, strlen(prompt));
	result = terminal_read(tty, signals, ret, cap);
	terminal_write(tty, "\n", 1);
	/* Flushes, so that text typed beyond the line does not reach a shell. */
	tcsetattr(tty, TCSAFLUSH, &before);
	return result;
}

static int
terminal_ask_once(int tty, const char *prompt, char *ret, size_t cap)
{
	sigset_t before;
	int signals = terminal_hold_signals(&before);
	int result = -errno;

	if (signals >= 0) {
		result = terminal_ask_unseen(tty, signals, prompt, ret, cap);
		close(signals);
	}
	sigprocmask(SIG_SETMASK, &before, NULL); /* a pending signal acts here */
	return result;
}

int
terminal_ask(const char *prompt, char *ret, size_t cap)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int result;

	if (tty < 0)
		return -ENXIO;
	do
		result = terminal_ask_once(tty, prompt, ret, cap);
	while (result == -EINTR);
	if (result != 0)
		secret_wipe(ret, cap);
	close(tty);
	return result;
}

void
terminal_tell(const char *text, size_t len)
{
	int tty = open("/dev/tty", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	terminal_write(tty >= 0 ? tty : STDERR_FILENO, text, len);
	if (tty >= 0)
		close(tty);
}
