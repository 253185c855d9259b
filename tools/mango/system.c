/* system.c - system.h on POSIX systems; system_windows.c is the other one.
 * SPDX-License-Identifier: MIT */
#if !defined(_WIN32)
#define _XOPEN_SOURCE 700
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void sys_start(void)
{
    int fd;
    do /* the lowest number that is free is the one opened */
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

double sys_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int sys_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

/* ---- folders --------------------------------------------------------------- */

int sys_folder_make(const char *path)
{
    return mkdir(path, 0777);
}

int sys_folder_writable(const char *path)
{
    return access(path, W_OK);
}

int sys_folder_remove(const char *path)
{
    return rmdir(path);
}

int sys_kind(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return 0;
    return S_ISDIR(s.st_mode) ? 2 : S_ISREG(s.st_mode) ? 1 : 3;
}

FILE *sys_look(const char *path)
{
    return sys_kind(path) == 1 ? fopen(path, "rb") : NULL;
}

int sys_separator(char c)
{
    return c == '/';
}

int sys_program(char *path, size_t cap)
{
    const ssize_t n = readlink("/proc/self/exe", path, cap - 1);
    if (n <= 0)
        return 0;
    path[n] = '\0';
    return 1;
}

/* ---- signals, programs, memory ---------------------------------------------- */

void sys_on_stop(void (*f)(int))
{
    static const struct {
        int sig, once; /* once: it kills when it comes again */
    } stop[] = {{SIGINT, 1},  {SIGTERM, 1}, {SIGHUP, 0},  {SIGUSR1, 0},
                {SIGUSR2, 0}, {SIGALRM, 0}, {SIGPIPE, 0},
#if defined(SIGXCPU)
                {SIGXCPU, 0},
#endif
#if defined(SIGPWR)
                {SIGPWR, 0},
#endif
                {SIGVTALRM, 0}};
    struct sigaction a, was;
    for (size_t i = 0; i < sizeof stop / sizeof stop[0]; i++) {
        memset(&a, 0, sizeof a);
        a.sa_handler = f;
        a.sa_flags = (int)SA_RESTART; /* no write fails for it */
        if (stop[i].once)
            a.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
        if (stop[i].once || sigaction(stop[i].sig, NULL, &was) != 0 ||
            was.sa_handler != SIG_IGN)
            sigaction(stop[i].sig, &a, NULL);
    }
}

void sys_file_limit(void)
{
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
}

int sys_run(const char *const *argv)
{
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* getrusage, where there is no /proc, may count what the process was before exec,
 * a copy of its parent. */
double sys_peak_mib(void)
{
    struct rusage r;
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && !kib && fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %ld", &kib);
    if (f)
        fclose(f);
    if (kib)
        return (double)kib / 1024.0;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_maxrss / 1024.0;
}
#else
typedef int system_is_windows; /* a file of C holds something */
#endif
