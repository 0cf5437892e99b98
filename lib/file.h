/* SPDX-License-Identifier: MIT */
/* Small files, read whole: configuration, keyring, an attribute in sysfs. Paths. */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct file_text {
	char *text;  /* NUL-terminated, in secret memory; owned */
	size_t len;  /* without the NUL */
	mode_t mode; /* permission bits of the file that was read */
};

/* 0, or -errno; -EFBIG above `max_len`, -EINVAL for anything but a regular file. */
int file_read(const char *path, size_t max_len, struct file_text *ret);

/* Why file_read() failed with -`error`. */
const char *file_error_text(int error);

/*
 * Reads the text of a file in `folder` (an fd), without the newline at its end. False with "" where
 * there is none, or one of `size` bytes and more.
 */
bool file_line(int folder, const char *name, char *ret, size_t size);

/*
 * Copies the directory that an absolute path lies in: without a slash at its end, or "/". Cut at
 * `size`.
 */
void file_directory(const char *path, char *ret, size_t size);

/* Wipes and frees. */
void file_finish(struct file_text *file);

#endif
