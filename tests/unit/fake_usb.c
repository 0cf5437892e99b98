/* SPDX-License-Identifier: MIT */
#include "tests/unit/fake_usb.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/usb/usb_sysfs.h"

#define KEYS_MAX 64
#define FLYING_MAX (KEYS_MAX * 17)

struct key {
	char serial[USB_SERIAL_MAX + 1];
	unsigned device; /* 0: unplugged */
};

struct fake_usb fake_usb;
static struct key keys[KEYS_MAX];
static unsigned keys_len;
static struct {
	struct libusb_transfer *transfer;
	bool cancelled;
} flying[FLYING_MAX];
static unsigned flying_len;
static int act_fd = -1; /* the end at which an act's result is written */
static libusb_hotplug_callback_fn hotplug;
static void *hotplug_arg;

/* As doc/protocol.md 1 has them: interface 0 with an interrupt endpoint, 1 with two of bulk. */
static const uint8_t descriptors[] = {
	18, 1, 0x00,        0x02, 2,  0,  0, 64, 0xdf, 0x20,         1, 0,  0, 2, 1,
	2,  3, 1,                                    /* device */
	9,  2, 55,          0,    2,  1,  0, 0,  38, /* configuration */
	9,  4, 0,           0,    1,  2,  0, 0,  0,  /* interface 0 */
	7,  5, 0x82,        3,    8,  0,  0,         /* endpoint */
	9,  4, 1,           0,    2,  10, 0, 0,  0,  /* interface 1 */
	7,  5, FAKE_USB_IN, 2,    64, 0,  0, 7,  5,    FAKE_USB_OUT, 2, 64, 0, 0, /* its endpoints
										   */
};

/* ---- the test's side ---- */

void
fake_usb_begin(void)
{
	fake_usb = (struct fake_usb){.has_hotplug = true};
	keys_len = flying_len = 0;
	if (act_fd >= 0)
		close(act_fd);
	act_fd = -1;
	hotplug = NULL;
}

static void
tell_hotplug(const struct key *key, libusb_hotplug_event event)
{
	if (hotplug != NULL)
		hotplug(NULL, (libusb_device *)(uintptr_t)key, event, hotplug_arg);
}

void
fake_usb_plug(const char *serial)
{
	struct key *key = &keys[keys_len++];

	assert_true(keys_len <= KEYS_MAX);
	*key = (struct key){.device = keys_len};
	strcpy(key->serial, serial);
	tell_hotplug(key, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
}

void
fake_usb_unplug(const char *serial)
{
	for (unsigned i = 0; i < keys_len; i++) {
		if (keys[i].device == 0 || strcmp(keys[i].serial, serial) != 0)
			continue;
		tell_hotplug(&keys[i], LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT);
		keys[i].device = 0;
		return;
	}
	fail_msg("%s is not plugged in", serial);
}

unsigned
fake_usb_waiting(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < flying_len; i++)
		n += flying[i].transfer->endpoint == FAKE_USB_IN && !flying[i].cancelled;
	return n;
}

static void
land(unsigned i, enum libusb_transfer_status status, size_t len)
{
	struct libusb_transfer *transfer = flying[i].transfer;

	memmove(flying + i, flying + i + 1, (--flying_len - i) * sizeof(flying[0]));
	transfer->status = status;
	transfer->actual_length = (int)len;
	transfer->callback(transfer);
}

static unsigned
oldest_in(void)
{
	unsigned i = 0;

	while (i < flying_len && flying[i].transfer->endpoint != FAKE_USB_IN)
		i++;
	assert_true(i < flying_len);
	return i;
}

void
fake_usb_packet(const void *bytes, size_t len)
{
	unsigned i = oldest_in();

	assert_true(len <= (size_t)flying[i].transfer->length);
	memcpy(flying[i].transfer->buffer, bytes, len);
	land(i, LIBUSB_TRANSFER_COMPLETED, len);
}

void
fake_usb_fail(enum libusb_transfer_status status)
{
	land(oldest_in(), status, 0);
}

const uint8_t *
fake_usb_command(enum libusb_transfer_status status, size_t *ret_len)
{
	for (unsigned i = 0; i < flying_len; i++) {
		const struct libusb_transfer *transfer = flying[i].transfer;

		if (transfer->endpoint != FAKE_USB_OUT)
			continue;
		*ret_len = (size_t)transfer->length;
		land(i, status, status == LIBUSB_TRANSFER_COMPLETED ? *ret_len : 0);
		return transfer->buffer;
	}
	return NULL;
}

void
fake_usb_act_done(int result)
{
	assert_true(act_fd >= 0);
	assert_int_equal(write(act_fd, &result, sizeof(result)), sizeof(result));
	close(act_fd);
	act_fd = -1;
}

/* ---- in place of lib/priv/usb.c ---- */

int
priv_open_usb(unsigned bus, unsigned device)
{
	int fd = memfd_create("key", MFD_CLOEXEC);
	size_t len = fake_usb.is_no_key ? 18 : sizeof(descriptors);

	assert_int_equal(bus, 1);
	assert_in_range(device, 1, keys_len);
	if (fake_usb.open_result < 0) {
		close(fd);
		return fake_usb.open_result;
	}
	assert_int_equal(write(fd, descriptors, len), len);
	return fd;
}

int
priv_usb_claim(int fd, unsigned number)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	if (fake_usb.claim_result < 0)
		return fake_usb.claim_result;
	fake_usb.claimed |= 1U << number;
	return 0;
}

void
priv_usb_release(int fd, unsigned number)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fake_usb.released |= 1U << number;
}

const struct helper_role priv_usb_role = {.timeout_s = 120};

int
priv_usb_start(struct helper *ret, int fd, enum priv_usb_act act, unsigned number)
{
	int ends[2];

	assert_in_range(fake_usb.acts_len, 0, FAKE_USB_ACTS_MAX - 1);
	fake_usb.acts[fake_usb.acts_len].act = act;
	fake_usb.acts[fake_usb.acts_len].number = number;
	fake_usb.acts[fake_usb.acts_len++].fd = fd;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	if (act_fd >= 0)
		close(act_fd);
	act_fd = ends[1];
	*ret = (struct helper){.fd = ends[0], .pidfd = -1};
	return 0;
}

int
priv_usb_start_at(struct helper *ret, unsigned bus, unsigned device, enum priv_usb_act act,
		  unsigned number)
{
	assert_int_equal(bus, 1);
	assert_in_range(device, 1, keys_len);
	return priv_usb_start(ret, -1, act, number);
}

int
priv_usb_result(struct helper *helper)
{
	int result = -EIO;

	(void)!read(helper->fd, &result, sizeof(result));
	helper_release(helper);
	return result;
}

bool
priv_usb_identity(struct helper *helper, struct usb_identity *ret)
{
	assert_int_equal(read(helper->fd, ret, sizeof(*ret)), sizeof(*ret));
	helper_release(helper);
	return ret->serial[0] != '\0';
}

/* ---- in place of backend/usb/usb_sysfs.c ---- */

size_t
usb_sysfs_list(const char *sysfs, struct usb_address *ret, size_t cap)
{
	size_t len = 0;

	assert_string_equal(sysfs, USB_SYSFS);
	fake_usb.looks++;
	for (unsigned i = 0; i < keys_len && len < cap; i++)
		if (keys[i].device != 0)
			ret[len++] = (struct usb_address){1, keys[i].device, "1-1"};
	return len;
}

int
usb_sysfs_identify(const char *sysfs, const struct usb_address *address, struct helper *ret)
{
	struct usb_identity id = {.manufacturer = "Simtec", .product = "Key", .speed = "12"};
	int ends[2];

	assert_string_equal(sysfs, USB_SYSFS);
	strcpy(id.serial, keys[address->device - 1].serial);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], &id, sizeof(id)), sizeof(id));
	close(ends[1]);
	*ret = (struct helper){.fd = ends[0], .pidfd = -1};
	return 0;
}

/* ---- in place of libusb ---- */

int
libusb_init(libusb_context **ret)
{
	*ret = NULL;
	return fake_usb.init_result;
}

void
libusb_exit(libusb_context *context)
{
	(void)context;
	hotplug = NULL;
}

int
libusb_pollfds_handle_timeouts(libusb_context *context)
{
	(void)context;
	return 1;
}

const struct libusb_pollfd **
libusb_get_pollfds(libusb_context *context)
{
	(void)context;
	return NULL;
}

void
libusb_free_pollfds(const struct libusb_pollfd **fds)
{
	assert_null(fds);
}

void
libusb_set_pollfd_notifiers(libusb_context *context, libusb_pollfd_added_cb added,
			    libusb_pollfd_removed_cb removed, void *arg)
{
	(void)context, (void)added, (void)removed, (void)arg;
}

int
libusb_get_next_timeout(libusb_context *context, struct timeval *ret)
{
	(void)context, (void)ret;
	return 0;
}

/* The kernel ends at once what it is asked to. */
int
libusb_handle_events_timeout_completed(libusb_context *context, struct timeval *wait,
				       int *completed)
{
	(void)context, (void)wait, (void)completed;
	for (unsigned i = 0; i < flying_len;) {
		if (flying[i].cancelled)
			land(i, LIBUSB_TRANSFER_CANCELLED, 0);
		else
			i++;
	}
	return 0;
}

int
libusb_has_capability(uint32_t capability)
{
	return capability == LIBUSB_CAP_HAS_HOTPLUG && fake_usb.has_hotplug;
}

int
libusb_hotplug_register_callback(libusb_context *context, int events, int flags, int vendor,
				 int product, int class, libusb_hotplug_callback_fn fn, void *arg,
				 libusb_hotplug_callback_handle *ret)
{
	(void)context, (void)ret;
	assert_int_equal(events,
			 LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT);
	assert_int_equal(flags, LIBUSB_HOTPLUG_ENUMERATE);
	assert_int_equal(vendor, USB_VENDOR);
	assert_int_equal(product, USB_PRODUCT);
	assert_int_equal(class, LIBUSB_HOTPLUG_MATCH_ANY);
	hotplug = fn;
	hotplug_arg = arg;
	for (unsigned i = 0; i < keys_len; i++)
		if (keys[i].device != 0)
			tell_hotplug(&keys[i], LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
	return LIBUSB_SUCCESS;
}

uint8_t
libusb_get_bus_number(libusb_device *device)
{
	(void)device;
	return 1;
}

uint8_t
libusb_get_device_address(libusb_device *device)
{
	return (uint8_t)((const struct key *)(const void *)device)->device;
}

int
libusb_wrap_sys_device(libusb_context *context, intptr_t fd, libusb_device_handle **ret)
{
	(void)context;
	assert_true(fcntl((int)fd, F_GETFD) >= 0);
	if (fake_usb.wrap_result < 0)
		return fake_usb.wrap_result;
	fake_usb.handles++;
	*ret = (libusb_device_handle *)&fake_usb;
	return 0;
}

void
libusb_close(libusb_device_handle *handle)
{
	assert_ptr_equal(handle, &fake_usb);
	fake_usb.handles--;
}

struct libusb_transfer *
libusb_alloc_transfer(int packets)
{
	assert_int_equal(packets, 0);
	fake_usb.transfers++;
	return calloc(1, sizeof(struct libusb_transfer));
}

void
libusb_free_transfer(struct libusb_transfer *transfer)
{
	for (unsigned i = 0; i < flying_len; i++)
		assert_ptr_not_equal(flying[i].transfer, transfer);
	fake_usb.transfers -= transfer != NULL;
	free(transfer);
}

int
libusb_submit_transfer(struct libusb_transfer *transfer)
{
	assert_ptr_equal(transfer->dev_handle, &fake_usb);
	assert_in_range(flying_len, 0, FLYING_MAX - 1);
	if (fake_usb.submit_result < 0)
		return fake_usb.submit_result;
	flying[flying_len].transfer = transfer;
	flying[flying_len++].cancelled = false;
	return 0;
}

int
libusb_cancel_transfer(struct libusb_transfer *transfer)
{
	for (unsigned i = 0; i < flying_len; i++) {
		if (flying[i].transfer != transfer)
			continue;
		flying[i].cancelled = true;
		return 0;
	}
	return LIBUSB_ERROR_NOT_FOUND;
}

/* ---- in place of the C library's ---- */

/* The question whether udev runs here: it does. */
int
access(const char *path, int how)
{
	(void)how;
	assert_string_equal(path, "/run/udev/control");
	return 0;
}
