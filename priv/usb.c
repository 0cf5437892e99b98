/* SPDX-License-Identifier: MIT */
#include "priv/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usb/ch9.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "priv/child.h"

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

struct usb_order {
	struct node node;
	enum priv_usb_act act;
	unsigned number;
};

/* In a copy of a process with threads: nothing but system calls. */
static void
usb_work(void *arg, int result_fd)
{
	const struct usb_order *order = arg;
	int result = node_open(&order->node);

	if (result >= 0)
		result = usb_do(result, order->act, order->number);
	(void)!write(result_fd, &result, sizeof(result));
}

static int
usb_start(const struct node *node, enum priv_usb_act act, unsigned number)
{
	struct usb_order order = {*node, act, number};

	return priv_child_start(usb_work, &order, node->fd);
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
