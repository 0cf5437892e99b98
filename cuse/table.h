/* SPDX-License-Identifier: MIT */
/*
 * The state from which the next daemon resumes the same device: the open files, the reads taken
 * from the kernel and not yet answered, the armed polls, the unfinished request, the handshake.
 * Numbers and indices, no pointer, and never a byte of entropy. It lives in a memfd that is stored
 * beside the device's connection, and is consistent at every instruction at which the daemon may be
 * killed.
 */
#ifndef CUSE_TABLE_H
#define CUSE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

#ifndef TABLE_VERSION   /* a test builds another */
#define TABLE_VERSION 3 /* of this layout: another one is refused */
#endif
#define TABLE_FILES 4096   /* open files of one device */
#define TABLE_READS 4096   /* blocked reads of one device */
#define TABLE_INIT_MAX 128 /* bytes; fuse_init_in has 64 in protocol 7.45 */
#define TABLE_PATH_MAX 256 /* bytes with the NUL */
#define TABLE_NONE UINT32_MAX

/*
 * One request of the kernel with its longest payload. Pages never touched take no memory, and ours
 * are shorter than a page.
 */
#define TABLE_REQUEST_MAX ((1 << 20) + 4096)

/* An open file. Its index is the `fh` that the kernel repeats with every request. */
struct table_file {
	uint32_t next_free;  /* while free */
	uint32_t uid;        /* of the opener: the identity that shares in the pool */
	uint32_t reads;      /* blocked reads of this file */
	uint8_t open;        /* 0 or 1, like the next: no bool, for saved state may have any byte */
	uint8_t poll_wanted; /* a task sleeps in poll until poll_handle is notified */
	uint64_t poll_handle; /* the kernel's number (fuse_poll_in.kh) */
};

/* A read that the kernel waits for. */
struct table_read {
	uint32_t next_free; /* while free */
	uint32_t file;
	uint32_t asked;  /* bytes */
	uint64_t unique; /* the kernel's number of the request; 0 while free */
};

/* Free entries are chained, and those never used lie above *_used: empty tables cost no memory. */
struct table {
	uint32_t version, size; /* TABLE_VERSION, bytes of this struct */
	uint32_t generation;    /* 0, and one more for each daemon that resumed it */
	uint32_t mode;          /* permission bits of the device */
	uint32_t files_used, files_free, files_open;
	uint32_t reads_used, reads_free, reads_pending;
	uint32_t init_opcode; /* FUSE_INIT or CUSE_INIT */
	uint32_t init_len;
	uint8_t init[TABLE_INIT_MAX]; /* as the kernel sent it, without the header */
	char path[TABLE_PATH_MAX];    /* of the device */
	struct pool_account account;  /* of the device, over all generations */
	uint64_t interrupted;         /* reads ended by a signal */
	struct table_file files[TABLE_FILES];
	struct table_read reads[TABLE_READS];
	/*
	 * The kernel writes each request here, so that none is lost when the daemon is killed while
	 * it reads one. Its first word is its length, 0 when the last one has been handled.
	 */
	_Alignas(8) uint8_t request[TABLE_REQUEST_MAX];
};

/* Empty, with its memfd (close-on-exec, sealed in size) in *ret_fd; or NULL with errno. */
struct table *table_new(int *ret_fd);

/*
 * Copies the table of a previous daemon from the memfd `fd` into a new one, and checks the copy: a
 * process that still has the old one mapped cannot change what was checked. 0 with *ret and
 * *ret_fd as table_new(), or -errno: -EPROTO it has another version, -EINVAL it is inconsistent.
 */
int table_resume(int fd, struct table **ret, int *ret_fd);

/* The generation of the table in `fd`; 0 when it cannot be read. */
uint32_t table_generation(int fd);

/* As table_new() made it. */
void table_clear(struct table *t);

/* Unmaps; NULLs the pointer. NULL is fine. */
void table_free(struct table **table);

/* Index, or TABLE_NONE when all are in use, or this user's share. The same holds for reads. */
uint32_t table_file_open(struct table *t, uint32_t uid);
void table_file_close(struct table *t, uint32_t file);

/* Whether this user has an open file, or a blocked read. */
bool table_has_file_of(const struct table *t, uint32_t uid);
bool table_has_read_of(const struct table *t, uint32_t uid);

/* The open file of an `fh`, or NULL. */
struct table_file *table_file(struct table *t, uint64_t fh);

uint32_t table_read_add(struct table *t, uint32_t file, uint64_t unique, uint32_t asked);
void table_read_remove(struct table *t, uint32_t read);

/* Is this one of the pending reads? */
bool table_read_is_pending(const struct table *t, uint64_t unique);

/* Stores the handshake, cut to TABLE_INIT_MAX. */
void table_keep_init(struct table *t, uint32_t opcode, const void *init, size_t len);

#endif
