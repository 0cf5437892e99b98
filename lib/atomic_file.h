/* SPDX-License-Identifier: MIT */
/*
 * Replaces a small file whole or not at all, in two steps: the first proves that it can be done, by
 * a file of as many bytes beside it; the second does it, and needs no more space or right.
 */
#ifndef LIB_ATOMIC_FILE_H
#define LIB_ATOMIC_FILE_H

#include <stddef.h>

#define ATOMIC_FILE_NAME_MAX 255

struct atomic_file {
	int dir, fd; /* the file's directory; the file beside it. -1: not open */
	char name[ATOMIC_FILE_NAME_MAX + 1];
	char temporary[ATOMIC_FILE_NAME_MAX + 1]; /* ".NAME.XXXXXXXX": hidden, and new each time */
};

/*
 * Makes a file of `len` bytes, at least 1, beside `path`, on the disk, with the mode and owner of
 * the one that is there. Where there is none yet it gets mode 0640 and the group of its directory
 * when we are root, else 0600. 0 or -errno; -ELOOP for a symbolic link, -EINVAL for what is no
 * regular file: these are left alone. Neither `path` nor what it holds is touched.
 */
int atomic_file_prepare(struct atomic_file *r, const char *path, size_t len);

/*
 * Puts `text`, of at most the prepared length, in its place; when it returns 0 it is on the disk.
 * After -errno the file is whole, and the old one, unless only its directory could not be synced.
 * Ends it either way.
 */
int atomic_file_commit(struct atomic_file *r, const char *text, size_t len);

/* Ends it without a trace; also after a commit, or a prepare that failed. */
void atomic_file_abandon(struct atomic_file *r);

#endif
