/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb_faults.h"

#include <errno.h>

static const struct {
	enum libusb_transfer_status status;
	enum usb_verdict verdict;
	int error;
} verdicts[] = {
	{LIBUSB_TRANSFER_COMPLETED, USB_GO_ON, 0},
	{LIBUSB_TRANSFER_CANCELLED, USB_GO_ON, 0}, /* by ourselves */
	/* Of a command: the session will miss its answer. */
	{LIBUSB_TRANSFER_TIMED_OUT, USB_GO_ON, 0},
	{LIBUSB_TRANSFER_ERROR, USB_AGAIN, EPROTO},
	{LIBUSB_TRANSFER_OVERFLOW, USB_AGAIN, EOVERFLOW},
	{LIBUSB_TRANSFER_STALL, USB_UNHALT, EPIPE},
	{LIBUSB_TRANSFER_NO_DEVICE, USB_END, ENODEV},
};

static void
pause_for(struct usb_faults *f, unsigned nth)
{
	f->pause_ms = nth < 6 ? USB_PAUSE_MIN_MS << (nth - 1) : USB_PAUSE_MAX_MS;
}

/* A packet may be empty; a key that sends nothing else must not keep the loop busy. */
static enum usb_verdict
judge_completed(struct usb_faults *f, size_t len)
{
	if (len > 0) {
		f->in_a_row = f->empty_in_a_row = 0;
		return USB_GO_ON;
	}
	if (++f->empty_in_a_row % USB_EMPTY_MAX != 0)
		return USB_GO_ON;
	pause_for(f, f->empty_in_a_row / USB_EMPTY_MAX);
	return USB_AGAIN;
}

enum usb_verdict
usb_faults_judge(struct usb_faults *f, enum libusb_transfer_status status, size_t len)
{
	size_t i = 0;

	while (i + 1 < sizeof(verdicts) / sizeof(verdicts[0]) && verdicts[i].status != status)
		i++;
	if (status == LIBUSB_TRANSFER_COMPLETED)
		return judge_completed(f, len);
	if (verdicts[i].verdict == USB_GO_ON)
		return USB_GO_ON;
	f->error = verdicts[i].error;
	if (++f->in_a_row >= USB_FAULTS_MAX)
		return USB_END;
	pause_for(f, f->in_a_row);
	return verdicts[i].verdict;
}

int
usb_errno(int result)
{
	switch (result) {
	case LIBUSB_ERROR_ACCESS:
		return EACCES;
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND:
		return ENODEV;
	case LIBUSB_ERROR_BUSY:
		return EBUSY;
	case LIBUSB_ERROR_NO_MEM:
		return ENOMEM;
	case LIBUSB_ERROR_NOT_SUPPORTED:
		return ENOTSUP;
	default:
		return EIO;
	}
}

const char *
usb_error_text(int error)
{
	switch (error) {
	case ENODEV:
		return "not plugged in";
	case EACCES:
	case EPERM:
		return "no access to its USB node (is the udev rule installed?)";
	case EBUSY:
		return "another program uses it";
	case ENXIO:
		return "its USB descriptors are not those of an Entropy Key";
	case EPIPE:
		return "its USB endpoint stalls: unplug it and plug it in again";
	case EPROTO:
		return "errors on the USB wire: try another port or cable, plug it in again";
	case EOVERFLOW:
		return "it sends too much for a USB packet: unplug it and plug it in again";
	case ETIMEDOUT:
		return "its firmware hangs: unplug it and plug it in again";
	case ECONNRESET:
		return "it was reset";
	default:
		return NULL;
	}
}
