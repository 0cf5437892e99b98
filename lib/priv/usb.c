/* SPDX-License-Identifier: MIT */
#include "lib/priv/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usb/ch9.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/file.h"

#define OPEN_FLAGS (O_RDWR | O_CLOEXEC)

struct request {
	int32_t act;
	uint32_t number, bus, device; /* the node, when no fd comes with it */
};

struct answer {
	int32_t result;
	struct usb_identity identity;
};

int
priv_open_usb(unsigned bus, unsigned device)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/bus/usb/%03u/%03u", bus, device);
	fd = open(path, OPEN_FLAGS);
	return fd < 0 ? -errno : fd;
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

/* ---- the helper ---- */

static bool
identify(int folder, struct usb_identity *ret)
{
	file_line(folder, "manufacturer", ret->manufacturer, sizeof(ret->manufacturer));
	file_line(folder, "product", ret->product, sizeof(ret->product));
	file_line(folder, "speed", ret->speed, sizeof(ret->speed));
	return file_line(folder, "serial", ret->serial, sizeof(ret->serial));
}

static int
usb_do(int fd, enum priv_usb_act act, unsigned number, struct usb_identity *ret)
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
	case PRIV_USB_IDENTIFY:
		return identify(fd, ret) ? 0 : -ENODATA;
	}
	return result < 0 ? -errno : 0;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	const struct request *r = request;
	struct answer *answer = ret_answer;
	int node = fd;

	(void)ret_fd;
	if (prepared >= 0 && fd < 0)
		prepared = node = priv_open_usb(r->bus, r->device);
	answer->result = prepared < 0 ? prepared
				      : usb_do(node, (enum priv_usb_act)r->act, r->number,
					       &answer->identity);
	if (fd < 0 && node >= 0)
		close(node);
	return true;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg sendmsg"},
	SANDBOX_ONLY("openat", 3, OPEN_FLAGS),
	SANDBOX_OPEN_TO_READ,
	SANDBOX_ONLY("ioctl", 2, USBDEVFS_CONTROL),
	SANDBOX_ONLY("ioctl", 2, USBDEVFS_RESET),
	SANDBOX_ONLY("ioctl", 2, USBDEVFS_CLEAR_HALT),
	SANDBOX_ONLY("ioctl", 2, USBDEVFS_IOCTL),
	{.name = NULL},
};

/* A reset takes the kernel up to a minute, when it tries again and again to address the device. */
const struct helper_role priv_usb_role = {
	.name = "ekey-usb",
	.does = "probes, resets or identifies a key on USB, once",
	.capability = HELPER_NO_CAPABILITY,
	.request_size = sizeof(struct request),
	.answer_size = sizeof(struct answer),
	.timeout_s = 120,
	.sandbox = {.calls = calls, .files_max = 8, .memory_bytes = 256U << 20},
	.act = act,
};

/* ---- its user ---- */

int
priv_usb_start(struct helper *ret, int fd, enum priv_usb_act act, unsigned number)
{
	const struct request request = {.act = (int32_t)act, .number = number};

	return helper_begin(ret, &priv_usb_role, &request, fd);
}

int
priv_usb_start_at(struct helper *ret, unsigned bus, unsigned device, enum priv_usb_act act,
		  unsigned number)
{
	const struct request request = {
		.act = (int32_t)act, .number = number, .bus = bus, .device = device};

	return helper_begin(ret, &priv_usb_role, &request, -1);
}

int
priv_usb_result(struct helper *helper)
{
	struct answer answer;

	return helper_finish(helper, &answer) < 0 ? -EIO : answer.result;
}

/* Replaces characters that are not plain by '?', for logs and names. True: there was none. */
static bool
make_plain(char *text, size_t size, char from)
{
	bool plain = true;

	text[size - 1] = '\0';
	for (; *text != '\0'; text++) {
		if (*text < from || *text > '~') {
			*text = '?';
			plain = false;
		}
	}
	return plain;
}

bool
priv_usb_identity(struct helper *helper, struct usb_identity *ret)
{
	struct answer answer;
	struct usb_identity *id = &answer.identity;

	if (helper_finish(helper, &answer) < 0 || answer.result < 0 ||
	    !make_plain(id->serial, sizeof(id->serial), '!') || id->serial[0] == '\0')
		return false;
	make_plain(id->manufacturer, sizeof(id->manufacturer), ' ');
	make_plain(id->product, sizeof(id->product), ' ');
	make_plain(id->speed, sizeof(id->speed), ' ');
	*ret = *id;
	return true;
}
