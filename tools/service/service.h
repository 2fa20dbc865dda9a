/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The inside of `socktally broker --socket`. */
#ifndef SOCKTALLY_TOOLS_SERVICE_SERVICE_H
#define SOCKTALLY_TOOLS_SERVICE_SERVICE_H

#include "proto/service.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

/* Meters at a time: in all, and of one user; root has no limit of its own. */
#define SERVICE_CLIENTS 64
#define SERVICE_CLIENTS_OF_USER 8
/* Programs of one client at a time: one a socket, and a few that have just been replaced. */
#define SERVICE_PROGRAMS 1024
/* Paths in a client's table: the broker pays for its memory. */
#define SERVICE_PATHS 8192

struct service_client {
	int fd; /* -1: free */
	uid_t uid;
	pid_t pid;
	struct socktally *meter; /* NULL before SERVICE_OPEN */
	bool records;
	uint32_t programs[SERVICE_PROGRAMS]; /* ids of programs that it was given */
	unsigned int program_count;
};

struct service {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of the socket */
	gid_t group;
	int listener;
	bool full_said;
	int checker; /* to the child that checks which programs exist; -1: there is none */
	pid_t checker_pid;
	struct service_client clients[SERVICE_CLIENTS];
};

/* Makes the socket; false after a message. */
bool service_listen(struct service *service, const char *path);
/* Accepts a connection, if its process may use the broker. */
void service_accept(struct service *service);
/* Answers a request; drops a client that has ended, or whose request makes no sense. */
void service_request(struct service *service, struct service_client *client);
void service_drop(struct service_client *client);

/* --- programs.c */

/* Starts the checker; to be called before privileges are dropped. */
void service_programs_start(struct service *service);
void service_programs_end(struct service *service);
/*
 * Forgets the client's programs that the kernel has freed. All of them where there is no checker, as
 * without CAP_SYS_ADMIN.
 */
void service_programs_prune(struct service *service, struct service_client *client);

#endif
