/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The inside of `socktally broker --socket`. */
#ifndef SOCKTALLY_TOOLS_SERVICE_SERVICE_H
#define SOCKTALLY_TOOLS_SERVICE_SERVICE_H

#include "proto/service.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Meters at a time: of all, and of one user but root. */
#define SERVICE_CLIENTS 64
#define SERVICE_CLIENTS_OF_USER 8
/* Programs of one client that are in use at a time: sockets, that is, and a few exchanged ones. */
#define SERVICE_PROGRAMS 1024
/* Paths that a client's table may have; that memory is the broker's. */
#define SERVICE_PATHS 8192

struct service_client {
	int fd; /* -1: free */
	uid_t uid;
	pid_t pid;
	struct socktally *meter; /* NULL before SERVICE_OPEN */
	bool records;
	uint32_t programs[SERVICE_PROGRAMS]; /* ids of those given out */
	unsigned int program_count;
};

struct service {
	const char *path;
	gid_t group;
	int listener;
	bool told_full;
	int looker; /* to the child that looks for programs; -1: there is none */
	pid_t looker_pid;
	struct service_client clients[SERVICE_CLIENTS];
};

/* Makes the socket; false after a message. */
bool service_listen(struct service *service);
/* Takes a connection, if its process may use the broker. */
void service_accept(struct service *service);
/* Takes a request and answers it, or drops a client that has ended or that makes no sense. */
void service_request(struct service *service, struct service_client *client);
void service_drop(struct service_client *client);

/* --- broker_service_programs.c */

/* Before privileges are dropped. */
void service_look_start(struct service *service);
void service_look_end(struct service *service);
/*
 * Forgets the client's programs that are neither attached nor held by anybody any more; all of them if
 * that can't be told, as where the broker was started without CAP_SYS_ADMIN.
 */
void service_look(struct service *service, struct service_client *client);

#endif
