/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb_sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"

#define ATTRIBUTE_MAX 128 /* bytes */

static bool
sysfs_number(int dir_fd, const char *device, const char *name, int base, unsigned *ret)
{
	char path[300], text[ATTRIBUTE_MAX];
	char *end;

	snprintf(path, sizeof(path), "%s/%s", device, name);
	if (!file_line(dir_fd, path, text, sizeof(text)))
		return false;
	*ret = (unsigned)strtoul(text, &end, base);
	return *end == '\0' && end != text;
}

/* By attributes that the kernel reads without a lock of the device. */
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

int
usb_sysfs_identify(const char *sysfs, const struct usb_address *address, struct helper *ret)
{
	char path[128];
	int fd, result;

	*ret = HELPER_NONE;
	snprintf(path, sizeof(path), "%s/%s", sysfs, address->folder);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = priv_usb_start(ret, fd, PRIV_USB_IDENTIFY, 0);
	close(fd);
	return result;
}
