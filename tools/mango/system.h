/* system.h - what the command asks of the operating system: folders, the clock, the
 * terminal, signals, other programs. The library's own needs stand in src/base/os.h.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TOOL_SYSTEM_H
#define MANGO_TOOL_SYSTEM_H
#include <stddef.h>
#include <stdio.h>

/* Before anything else: standard input, output and messages that are closed lead to
 * nothing, so that no file comes in their place; and what is written is the same bytes on
 * every system. */
void sys_start(void);
double sys_now(void); /* seconds, monotonic */
/* Does stderr reach a terminal that takes escape sequences? */
int sys_terminal(void);
int sys_folder_make(const char *path);         /* 0, or -1 with errno */
int sys_folder_writable(const char *path);     /* as above */
int sys_folder_remove(const char *path);       /* an empty one; as above */
/* 2: a folder, 1: a regular file, 3: something else, 0: nothing. */
int sys_kind(const char *path);
/* A regular file to be looked into; NULL for anything else: a pipe would be waited for. */
FILE *sys_look(const char *path);
/* Is c between the names of a path? */
int sys_separator(char c);
/* The file of this program; false when the system does not say. */
int sys_program(char *path, size_t cap);
/* f is called at ^C and at whatever asks the process to end: a terminal that is gone, a
 * cluster's warning, a limit of time, a reader that left. ^C or SIGTERM again kills. What
 * nohup ignores stays ignored. */
void sys_on_stop(void (*f)(int));
/* A file over the limit becomes an error of write(), not a signal. */
void sys_file_limit(void);
/* Run a program of the search path and wait: its exit code, 127 when it is not there,
 * -1 when it was killed. */
int sys_run(const char *const *argv);
/* Most memory this process had, MiB; 0 when the system does not say. */
double sys_peak_mib(void);

#endif
