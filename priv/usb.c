/* SPDX-License-Identifier: MIT */
#include "priv/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usb/ch9.h>
#include <linux/usbdevice_fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
	int fd; /* -1: to be opened */
	char path[64];
};

static struct node
node_of(unsigned bus, unsigned device)
{
	struct node node = {.fd = -1};

	snprintf(node.path, sizeof(node.path), "/dev/bus/usb/%03u/%03u", bus, device);
	return node;
}

static int
node_open(const struct node *node)
{
	int fd = node->fd >= 0 ? node->fd : open(node->path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
priv_open_usb(unsigned bus, unsigned device)
{
	struct node node = node_of(bus, device);

	return node_open(&node);
}

int
priv_usb_claim(int fd, unsigned number)
{
	struct usbdevfs_disconnect_claim claim = {
		.interface = number,
		.flags = USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER,
		.driver = "usbfs", /* that is a process like us */
	};

	return ioctl(fd, USBDEVFS_DISCONNECT_CLAIM, &claim) < 0 ? -errno : 0;
}

void
priv_usb_release(int fd, unsigned number)
{
	ioctl(fd, USBDEVFS_RELEASEINTERFACE, &number);
}

static int
usb_do(int fd, enum priv_usb_act act, unsigned number)
{
	struct usbdevfs_ioctl attach = {.ifno = (int)number, .ioctl_code = USBDEVFS_CONNECT};
	uint8_t configuration;
	struct usbdevfs_ctrltransfer probe = {.bRequestType = USB_DIR_IN,
					      .bRequest = USB_REQ_GET_CONFIGURATION,
					      .wLength = sizeof(configuration),
					      .timeout = number,
					      .data = &configuration};
	int result = -1;

	switch (act) {
	case PRIV_USB_PROBE:
		result = ioctl(fd, USBDEVFS_CONTROL, &probe);
		break;
	case PRIV_USB_RESET:
		result = ioctl(fd, USBDEVFS_RESET);
		break;
	case PRIV_USB_CLEAR_HALT:
		result = ioctl(fd, USBDEVFS_CLEAR_HALT, &number);
		break;
	case PRIV_USB_ATTACH:
		result = ioctl(fd, USBDEVFS_IOCTL, &attach);
		break;
	}
	return result < 0 ? -errno : 0;
}

/* Else a device or socket of ours would live as long as this process waits for the kernel. */
static void
close_all_but(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 0)
		close_range(0, low - 1, 0);
	if (low + 1 < high)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, UINT_MAX, 0);
}

/* In a child of a process with threads: nothing but system calls. */
static void __attribute__((noreturn))
usb_child(const struct node *node, int result_fd, enum priv_usb_act act, unsigned number)
{
	int result;

	/* The one that works is nobody's child: nobody has to wait for it. */
	if (fork() != 0)
		_exit(0);
	close_all_but(node->fd >= 0 ? node->fd : result_fd, result_fd);
	result = node_open(node);
	if (result >= 0)
		result = usb_do(result, act, number);
	_exit(write(result_fd, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

static int
usb_start(const struct node *node, enum priv_usb_act act, unsigned number)
{
	int ends[2], error;
	sigset_t all, before;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	/* The child would tell our loop of a signal that was meant for us, and be ended by it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child == 0)
		usb_child(node, ends[1], act, number);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return -error;
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return ends[0];
}

int
priv_usb_start(int fd, enum priv_usb_act act, unsigned number)
{
	return usb_start(&(struct node){.fd = fd}, act, number);
}

int
priv_usb_start_at(unsigned bus, unsigned device, enum priv_usb_act act, unsigned number)
{
	struct node node = node_of(bus, device);

	return usb_start(&node, act, number);
}

int
priv_usb_result(int result_fd)
{
	int result;

	if (read(result_fd, &result, sizeof(result)) != (ssize_t)sizeof(result))
		result = -EIO; /* it could not even be started */
	close(result_fd);
	return result;
}
