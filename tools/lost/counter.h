/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The process that counts the tool's files. */
#ifndef SOCKTALLY_TOOLS_LOST_COUNTER_H
#define SOCKTALLY_TOOLS_LOST_COUNTER_H

#include "tools/lost/lost.h"

/* What is not in the report: of all files together. */
struct counter_facts {
	uint64_t files;
	uint32_t shortest_cut; /* see struct saved_side */
	struct timespec last;  /* the latest time of a packet; 0: none has one */
};

struct counter {
	pid_t pid;
	struct counter_facts *facts; /* shared with it */
	int control;                 /* the tool's number goes in; its end is the end of the tool */
	int result;                  /* a file in memory: one JSON report of all files, and notes */
};

/* 0, or -1 after a message. */
int counter_start(struct counter *counter, const struct lost_options *options,
		  const struct report_options *report);
void counter_begin(struct counter *counter, pid_t tool);
/* Waits for the result. false: a signal has come before. */
bool counter_wait(struct counter *counter, int signals);
void counter_close(struct counter *counter);

/* --- marks.c */
/* A fanotify group of closed files on all file systems where captures may be; -1 with errno. */
int marks_open(void);

/* --- files.c: in that process */
struct files;

struct files *files_new(const struct report_options *options);
/* A file that the tool has written; takes the descriptor over. */
void files_add(struct files *files, int fd);
/* A name that was given. */
void files_add_pattern(struct files *files, const char *pattern);
/* Writes the report; exit status. */
int files_report(struct files *files, int fd, struct counter_facts *facts);

#endif
