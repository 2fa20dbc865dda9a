/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The inside of `socktally broker --socket`. There is a process for each client, which accepts its connection
 * and serves it, so that no client can hold another one up. The first process never touches a connection: it
 * knows how many there are and whose, and always has one child that waits for the next client.
 */
#ifndef SOCKTALLY_TOOLS_SERVICE_SERVICE_H
#define SOCKTALLY_TOOLS_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

/* Meters at a time: in all, and of one person; root has no limit of its own. */
#define SERVICE_CLIENTS 64
#define SERVICE_CLIENTS_OF_USER 8
/* Besides them: the one that waits, and those that are being refused. */
#define SERVICE_CHILDREN (SERVICE_CLIENTS + 16)
/* Programs of one client at a time: one a socket, and a few that have just been replaced; and their bytes. */
#define SERVICE_PROGRAMS 1024
#define SERVICE_PROGRAM_BYTES (16u * 1024 * 1024)
/* Seconds of processor time a minute that its filters may take. */
#define SERVICE_PROCESSOR_SECONDS 3
/* Paths in a client's table: the broker pays for its memory. */
#define SERVICE_PATHS 8192
/* Flows whose application is remembered, the same. */
#define SERVICE_FLOWS 131072
/* Users of whom it is said that they were refused something. */
#define SERVICE_TOLD 32

/* Who has connected. */
struct service_peer {
	pid_t pid;
	uid_t uid;
};

enum service_state {
	CHILD_WAITS, /* for a client */
	CHILD_ASKS,  /* whether its client gets a place */
	CHILD_SERVES,
	CHILD_REFUSED,
};

struct service_child {
	pid_t pid;
	int control; /* to it; -1: there is no such child */
	enum service_state state;
	struct service_peer peer; /* its client, */
	uid_t person;             /* and to whom its place counts */
	int64_t since;            /* CLOCK_MONOTONIC in milliseconds: it asks */
};

struct service {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of the socket */
	gid_t group;
	int listener;
	int checker; /* to the child that checks programs and users; -1: there is none */
	pid_t checker_pid;
	struct service_child children[SERVICE_CHILDREN];
	uid_t told[SERVICE_TOLD];
	unsigned int told_count;
};

/* --- listen.c */

/* Makes the socket; false after a message. */
bool service_listen(struct service *service, const char *path);
/* Whether the process at the other end may use the broker. */
bool service_may_use(const struct service *service, int fd, struct service_peer *peer);

/* --- children.c */

/* Sees to it that a child waits for the next client. */
void service_wait_for_client(struct service *service);
/* What a child says: that it has a client, or, by the end of its connection, that it has ended. */
void service_hear(struct service *service, struct service_child *child);
/* Decides who gets a place. Returns a timeout for poll(), after which it has to be called again. */
int service_give_places(struct service *service);
/* Ends all children, and so their clients' meters. */
void service_end_children(struct service *service);

/* --- client.c */

/* Serves the client until its end. checker: to that child; -1: there is none. */
void service_client(int fd, uid_t user, int checker);

/* --- checker.c */

/*
 * Starts the checker: it keeps what takes CAP_SYS_ADMIN and CAP_SYS_PTRACE, which the broker drops. To be
 * called before that. Where it can't be started, or these are missing, service->checker is -1, or it knows
 * nothing.
 */
void service_checker_start(struct service *service);
void service_checker_end(struct service *service);
/* A connection to the checker, for a child; -1: none. */
int service_checker_connect(const struct service *service);
/*
 * To whom the places of a client's process count: its user, or who has made the user namespace that it is in,
 * or the outermost one below ours.
 */
uid_t service_checker_person(const struct service *service, const struct service_peer *peer);
/* there[i] becomes 1 where the kernel still has program ids[i]; false: not known. */
bool service_checker_programs(int checker, const uint32_t *ids, size_t count, uint8_t *there);

#endif
