/* SPDX-License-Identifier: MIT */
#include "backend/usb_sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTRIBUTE_MAX 128 /* bytes that are read of one */

/* The text of an attribute, without the newline. False when it is absent or too long. */
static bool
sysfs_text(int dir_fd, const char *device, const char *name, char *ret, size_t size)
{
	char path[300];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", device, name);
	fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size);
		close(fd);
	}
	if (n <= 0 || (size_t)n == size)
		return false;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static bool
sysfs_number(int dir_fd, const char *device, const char *name, int base, unsigned *ret)
{
	char text[ATTRIBUTE_MAX];
	char *end;

	if (!sysfs_text(dir_fd, device, name, text, sizeof(text)))
		return false;
	*ret = (unsigned)strtoul(text, &end, base);
	return *end == '\0' && end != text;
}

/* It will stand in logs, in names and in tab-separated answers. */
static bool
sysfs_serial_good(const char *serial)
{
	for (const char *at = serial; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return serial[0] != '\0' && strlen(serial) <= USB_SERIAL_MAX;
}

/* Of a stranger, for people: what is not plain becomes '?'. */
static void
sysfs_plain_text(int dir_fd, const char *device, const char *name, char *ret, size_t size)
{
	if (!sysfs_text(dir_fd, device, name, ret, size))
		ret[0] = '\0';
	for (char *at = ret; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

/* Of attributes for which the kernel takes no lock of the device. */
static bool
sysfs_is_key(int dir_fd, const char *device, struct usb_address *ret)
{
	unsigned vendor, product;

	if (strlen(device) >= sizeof(ret->folder) ||
	    !sysfs_number(dir_fd, device, "idVendor", 16, &vendor) || vendor != USB_VENDOR ||
	    !sysfs_number(dir_fd, device, "idProduct", 16, &product) || product != USB_PRODUCT ||
	    !sysfs_number(dir_fd, device, "busnum", 10, &ret->bus) ||
	    !sysfs_number(dir_fd, device, "devnum", 10, &ret->device))
		return false;
	memcpy(ret->folder, device, strlen(device) + 1);
	return true;
}

size_t
usb_sysfs_list(const char *sysfs, struct usb_address *ret, size_t cap)
{
	DIR *dir = opendir(sysfs);
	size_t count = 0;

	if (dir == NULL)
		return 0;
	for (const struct dirent *entry; count < cap && (entry = readdir(dir)) != NULL;) {
		/* "1-4.2"; an interface of it is "1-4.2:1.0", a root hub "usb1". */
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
		    strchr(entry->d_name, ':') != NULL)
			continue;
		if (sysfs_is_key(dirfd(dir), entry->d_name, &ret[count]))
			count++;
	}
	closedir(dir);
	return count;
}

bool
usb_sysfs_identify(const char *sysfs, const struct usb_address *address, struct usb_identity *ret)
{
	int dir_fd = open(sysfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char serial[ATTRIBUTE_MAX] = "";
	bool good;

	if (dir_fd < 0)
		return false;
	good = sysfs_text(dir_fd, address->folder, "serial", serial, sizeof(serial)) &&
	       sysfs_serial_good(serial);
	if (good) {
		memcpy(ret->serial, serial, strlen(serial) + 1);
		sysfs_plain_text(dir_fd, address->folder, "manufacturer", ret->manufacturer,
				 sizeof(ret->manufacturer));
		sysfs_plain_text(dir_fd, address->folder, "product", ret->product,
				 sizeof(ret->product));
		sysfs_plain_text(dir_fd, address->folder, "speed", ret->speed, sizeof(ret->speed));
	}
	close(dir_fd);
	return good;
}
