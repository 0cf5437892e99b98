/* SPDX-License-Identifier: MIT */
/*
 * What a next generation of the daemon must know to go on serving the same device: the open files,
 * the reads taken from the kernel and not yet answered, the polls that wait, the handshake. Plain
 * numbers and indices, no pointer, and never a byte of entropy: it could live in a memfd that is
 * kept beside the device's fd.
 */
#ifndef CUSE_TABLE_H
#define CUSE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_VERSION 1
#define TABLE_FILES 4096   /* open files of one device */
#define TABLE_READS 4096   /* blocked reads of one device */
#define TABLE_INIT_MAX 128 /* bytes; fuse_init_in has 64 in protocol 7.45 */
#define TABLE_NONE UINT32_MAX

/* An open file. Its index is the `fh` that the kernel repeats with every request. */
struct table_file {
	uint32_t next_free; /* while free */
	uint32_t uid;       /* of the opener: the identity that shares in the pool */
	uint32_t reads;     /* blocked reads of this file */
	bool open;
	bool poll_wanted;     /* somebody sleeps in poll, and wants poll_handle to be notified */
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
	uint32_t version;
	uint32_t files_used, files_free, files_open;
	uint32_t reads_used, reads_free, reads_pending;
	uint32_t init_opcode; /* FUSE_INIT or CUSE_INIT */
	uint32_t init_len;
	uint8_t init[TABLE_INIT_MAX]; /* as the kernel sent it, without the header */
	struct table_file files[TABLE_FILES];
	struct table_read reads[TABLE_READS];
};

/* `t` is zeroed memory. */
void table_init(struct table *t);

/* Index, or TABLE_NONE when all are in use. */
uint32_t table_file_open(struct table *t, uint32_t uid);
void table_file_close(struct table *t, uint32_t file);

/* The open file of an `fh`, or NULL. */
struct table_file *table_file(struct table *t, uint64_t fh);

uint32_t table_read_add(struct table *t, uint32_t file, uint64_t unique, uint32_t asked);
void table_read_remove(struct table *t, uint32_t read);

/* Keeps the handshake; one that is too long is cut, which the reader sees in init_len. */
void table_keep_init(struct table *t, uint32_t opcode, const void *init, size_t len);

#endif
