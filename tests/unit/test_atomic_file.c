/* SPDX-License-Identifier: MIT */
/* A file that is replaced whole, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/atomic_file.h"
#include "lib/file.h"
#include "tests/unit/folder.h"

static char dir[FOLDER_MAX], path[FOLDER_MAX + 16];
static struct atomic_file replace;

/* ---- what reaches the disk, and when ---- */

static char steps[512]; /* a word for each fsync() and renameat() */

static void
note(const char *step)
{
	assert_true(strlen(steps) + strlen(step) < sizeof(steps));
	strcat(steps, step);
}

int
fsync(int fd)
{
	char name[32], text[16] = "";
	struct stat st;
	int copy;

	assert_int_equal(fstat(fd, &st), 0);
	sprintf(name, "/proc/self/fd/%d", fd); /* ours is for writing only */
	copy = S_ISREG(st.st_mode) ? open(name, O_RDONLY) : -1;
	if (copy >= 0)
		assert_true(read(copy, text, sizeof(text) - 1) >= 0);
	if (S_ISDIR(st.st_mode))
		note("fsync(directory) ");
	else if (st.st_size == (off_t)strlen(text) && text[0] != ' ' && text[0] != '\0')
		note("fsync(text) ");
	else
		note("fsync(space) ");
	close(copy);
	return (int)syscall(SYS_fsync, fd);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	note("rename ");
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

static int
set_up(void **unused)
{
	(void)unused;
	if (!folder_make(dir))
		return -1;
	sprintf(path, "%s/file", dir);
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	atomic_file_abandon(&replace);
	unlink(path);
	return rmdir(dir);
}

static void
write_file(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
assert_file(const char *text)
{
	struct file_text file;

	assert_int_equal(file_read(path, 1 << 20, &file), 0);
	assert_string_equal(file.text, text);
	file_finish(&file);
}

/* Names in the directory, but for "." and "..". */
static unsigned
count_names(void)
{
	DIR *d = opendir(dir);
	unsigned count = 0;

	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count - 2;
}

static void
text_takes_the_place_of_the_old(void **unused)
{
	(void)unused;
	write_file("a long old text", 0600);
	assert_int_equal(atomic_file_prepare(&replace, path, 100), 0);
	assert_file("a long old text");
	assert_int_equal(atomic_file_commit(&replace, "new", 3), 0);
	assert_file("new");
	assert_int_equal(count_names(), 1);
}

static void
text_is_on_the_disk_before_it_has_the_name_and_the_name_before_it_is_done(void **unused)
{
	(void)unused;
	write_file("old", 0600);
	steps[0] = '\0';
	assert_int_equal(atomic_file_prepare(&replace, path, 100), 0);
	assert_int_equal(atomic_file_commit(&replace, "new", 3), 0);
	assert_string_equal(steps, "fsync(space) fsync(text) rename fsync(directory) ");
}

static void
file_that_was_not_there_is_made_for_few_eyes(void **unused)
{
	struct stat st;

	(void)unused;
	assert_int_equal(atomic_file_prepare(&replace, path, 3), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(atomic_file_commit(&replace, "new", 3), 0);
	assert_file("new");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, geteuid() == 0 ? 0640 : 0600);
}

static void
mode_and_owner_stay(void **unused)
{
	static const mode_t modes[] = {0600, 0640, 0440, 0400};
	struct stat before, after;

	(void)unused;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		unlink(path);
		write_file("old", modes[i]);
		if (geteuid() == 0)
			assert_int_equal(chown(path, 1, 2), 0);
		assert_int_equal(stat(path, &before), 0);
		assert_int_equal(atomic_file_prepare(&replace, path, 3), 0);
		assert_int_equal(atomic_file_commit(&replace, "new", 3), 0);
		assert_int_equal(stat(path, &after), 0);
		assert_int_equal(after.st_mode & 07777, modes[i]);
		assert_int_equal(after.st_uid, before.st_uid);
		assert_int_equal(after.st_gid, before.st_gid);
	}
}

static void
space_is_on_the_disk_before_it_is_needed(void **unused)
{
	char beside[512];
	struct stat st;

	(void)unused;
	assert_int_equal(atomic_file_prepare(&replace, path, 100000), 0);
	snprintf(beside, sizeof(beside), "%s/%s", dir, replace.temporary);
	assert_int_equal(stat(beside, &st), 0);
	assert_int_equal(st.st_size, 100000);
	assert_true(st.st_blocks * 512 >= 100000);
	assert_int_equal(st.st_mode & 0037, 0);
	atomic_file_abandon(&replace);
	assert_int_equal(count_names(), 0);
}

static void
abandoned_it_leaves_no_trace(void **unused)
{
	(void)unused;
	write_file("old", 0600);
	assert_int_equal(atomic_file_prepare(&replace, path, 100), 0);
	assert_int_equal(count_names(), 2);
	atomic_file_abandon(&replace);
	atomic_file_abandon(&replace);
	assert_int_equal(count_names(), 1);
	assert_file("old");
}

static void
links_and_what_is_no_file_are_left_alone(void **unused)
{
	char target[FOLDER_MAX + 16];

	(void)unused;
	sprintf(target, "%s/target", dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(atomic_file_prepare(&replace, path, 3), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(atomic_file_prepare(&replace, path, 3), -EINVAL);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(atomic_file_prepare(&replace, path, 3), -EINVAL);
	assert_int_equal(count_names(), 1);
}

static void
place_that_is_not_there_is_told_at_once(void **unused)
{
	char name[300];

	(void)unused;
	assert_int_equal(atomic_file_prepare(&replace, "/nonexistent/file", 3), -ENOENT);
	assert_int_equal(atomic_file_prepare(&replace, "/dev/null/file", 3), -ENOTDIR);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(atomic_file_prepare(&replace, name, 3), -ENAMETOOLONG);
}

static void
commit_that_fails_leaves_the_old(void **unused)
{
	char beside[512];

	(void)unused;
	write_file("old", 0600);
	assert_int_equal(atomic_file_prepare(&replace, path, 3), 0);
	snprintf(beside, sizeof(beside), "%s/%s", dir, replace.temporary);
	assert_int_equal(unlink(beside), 0);
	assert_int_equal(atomic_file_commit(&replace, "new", 3), -ENOENT);
	assert_file("old");
	assert_int_equal(count_names(), 1);
}

static void
path_without_a_directory_is_here(void **unused)
{
	char here[256];

	(void)unused;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(atomic_file_prepare(&replace, "file", 3), 0);
	assert_int_equal(chdir(here), 0); /* it knows its directory, wherever we go */
	assert_int_equal(atomic_file_commit(&replace, "new", 3), 0);
	assert_file("new");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(text_takes_the_place_of_the_old),
		TEST(text_is_on_the_disk_before_it_has_the_name_and_the_name_before_it_is_done),
		TEST(file_that_was_not_there_is_made_for_few_eyes),
		TEST(mode_and_owner_stay),
		TEST(space_is_on_the_disk_before_it_is_needed),
		TEST(abandoned_it_leaves_no_trace),
		TEST(links_and_what_is_no_file_are_left_alone),
		TEST(place_that_is_not_there_is_told_at_once),
		TEST(commit_that_fails_leaves_the_old),
		TEST(path_without_a_directory_is_here),
	};

	replace = (struct atomic_file){.dir = -1, .fd = -1};
	return cmocka_run_group_tests_name("atomic_file", tests, NULL, NULL);
}
