/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The watcher: a child of the broker that looks for packet sockets of the tool which are not metered, or
 * no longer. To see whose a socket is, and which BPF programs exist, takes privileges that the broker
 * drops; the watcher keeps them, reads nothing from the tool, and ends with the broker.
 */
#ifndef SOCKTALLY_TOOLS_BROKER_WATCHER_H
#define SOCKTALLY_TOOLS_BROKER_WATCHER_H

#include "proto/channel_address.h"
#include <stdint.h>
#include <sys/types.h>

/* What one look can be asked about, and what it can find. */
#define WATCH_SOCKETS 1024
#define WATCH_FINDINGS 8

/* A socket that is on the meter. */
struct watch_metered {
	uint64_t cookie;
	uint32_t program; /* id of the program that the meter has put on it */
	uint32_t reserved;
};

struct watch_question {
	pid_t tool;
	uint32_t count;
	struct watch_metered metered[WATCH_SOCKETS];
};

enum watch_kind {
	WATCH_LOST,        /* another filter is on a socket of the meter */
	WATCH_SAID,        /* the library in its process has said why it goes on unmetered */
	WATCH_PAST,        /* opened past the functions that the library has in their place */
	WATCH_STATIC,      /* its process is linked statically */
	WATCH_ENVIRONMENT, /* its process has no LD_PRELOAD */
	WATCH_REFUSED,     /* its process has LD_PRELOAD, and its loader ignored that */
};

struct watch_finding {
	uint64_t cookie;
	int32_t kind;
	pid_t pid; /* a process that has it, and its descriptor there */
	int32_t fd;
	int32_t ifindex; /* 0: all interfaces */
	int32_t said;    /* the user has been told by the library in the process */
	char comm[16];
	uint32_t reserved;
};

struct watch_answer {
	uint32_t count;
	uint32_t reserved;
	struct watch_finding findings[WATCH_FINDINGS];
};

/*
 * To be called before privileges are dropped. Returns a socket for questions, each of which gets an
 * answer, and the child's process number; -1: it could not be started.
 */
int watcher_start(const struct channel_address *address, pid_t *watcher);

#endif
