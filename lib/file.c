/* SPDX-License-Identifier: MIT */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/secret.h"

static int
file_read_fd(int fd, size_t max_len, struct file_text *ret)
{
	struct stat st;
	struct file_text file;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size < 0 || (size_t)st.st_size > max_len)
		return -EFBIG;
	file = (struct file_text){.len = (size_t)st.st_size, .mode = st.st_mode & 07777};
	file.text = secret_new(file.len + 1);
	if (file.text == NULL)
		return -ENOMEM;
	for (size_t have = 0; have < file.len;) {
		ssize_t n = read(fd, file.text + have, file.len - have);

		if (n > 0) {
			have += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			int result = n == 0 ? -EIO : -errno; /* 0: it shrank under our hands */

			file_finish(&file);
			return result;
		}
	}
	*ret = file;
	return 0;
}

int
file_read(const char *path, size_t max_len, struct file_text *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int result;

	if (fd < 0)
		return -errno;
	result = file_read_fd(fd, max_len, ret);
	close(fd);
	return result;
}

bool
file_line(int folder, const char *name, char *ret, size_t size)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, ret, size);
		close(fd);
	}
	if (n > 0 && ret[n - 1] == '\n')
		n--;
	if (n <= 0 || (size_t)n == size)
		n = 0;
	ret[n] = '\0';
	return n > 0;
}

void
file_directory(const char *path, char *ret, size_t size)
{
	size_t len = (size_t)(strrchr(path, '/') - path);

	snprintf(ret, size, "%.*s", len > 0 ? (int)len : 1, path);
}

const char *
file_error_text(int error)
{
	return error == EINVAL ? "not a regular file" : strerror(error);
}

void
file_finish(struct file_text *file)
{
	if (file->text != NULL)
		secret_free(file->text, file->len + 1);
	*file = (struct file_text){0};
}
