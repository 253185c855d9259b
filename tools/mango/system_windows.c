/* system_windows.c - system.h on Windows. Paths are in the system's code page, and
 * both / and \ stand between their names.
 * SPDX-License-Identifier: MIT */
#if defined(_WIN32)
#include "system.h"
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#define WIN32_LEAN_AND_MEAN
#define PSAPI_VERSION 2
#include <windows.h>
#include <psapi.h>

enum { SYS_ARGUMENTS = 32 };

void sys_start(void)
{
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
}

double sys_now(void)
{
    LARGE_INTEGER now, rate;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&rate);
    return (double)now.QuadPart / (double)rate.QuadPart;
}

int sys_terminal(void)
{
    const HANDLE h = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;
    return GetConsoleMode(h, &mode) &&
           SetConsoleMode(h, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

/* ---- folders --------------------------------------------------------------- */

int sys_folder_make(const char *path)
{
    const size_t n = strlen(path);
    if (n > 0 && path[n - 1] == ':') { /* a drive */
        errno = EEXIST;
        return -1;
    }
    return _mkdir(path);
}

int sys_folder_writable(const char *path)
{
    return _access(path, 2);
}

int sys_folder_remove(const char *path)
{
    return _rmdir(path);
}

int sys_kind(const char *path)
{
    struct _stat s;
    if (_stat(path, &s) != 0)
        return 0;
    return (s.st_mode & _S_IFMT) == _S_IFDIR ? 2 : (s.st_mode & _S_IFMT) == _S_IFREG ? 1 : 3;
}

FILE *sys_look(const char *path)
{
    return sys_kind(path) == 1 ? fopen(path, "rb") : NULL;
}

int sys_separator(char c)
{
    return c == '/' || c == '\\';
}

int sys_program(char *path, size_t cap)
{
    const DWORD n = GetModuleFileNameA(NULL, path, (DWORD)cap);
    if (n == 0 || n >= cap)
        return 0;
    for (DWORD i = 0; i < n; i++)
        path[i] = path[i] == '\\' ? '/' : path[i];
    return 1;
}

/* ---- signals, programs, memory ---------------------------------------------- */

void sys_on_stop(void (*f)(int))
{
    signal(SIGINT, f); /* back to its default when it comes: the second kills */
    signal(SIGTERM, f);
    signal(SIGBREAK, f);
}

void sys_file_limit(void) {}

/* The runtime joins arguments with blanks and does not quote them. */
static char *sys_quote(const char *word)
{
    char *q = malloc(strlen(word) + 3);
    if (q)
        sprintf(q, strpbrk(word, " \t") ? "\"%s\"" : "%s", word);
    return q;
}

int sys_run(const char *const *argv)
{
    char *quoted[SYS_ARGUMENTS + 1] = {NULL};
    int n = 0, rc = -1;
    while (n < SYS_ARGUMENTS && argv[n] && (quoted[n] = sys_quote(argv[n])) != NULL)
        n++;
    if (!argv[n]) {
        rc = (int)_spawnvp(_P_WAIT, argv[0], (const char *const *)quoted);
        rc = rc < 0 && errno == ENOENT ? 127 : rc;
    }
    while (n > 0)
        free(quoted[--n]);
    return rc;
}

double sys_peak_mib(void)
{
    PROCESS_MEMORY_COUNTERS m;
    if (!GetProcessMemoryInfo(GetCurrentProcess(), &m, sizeof m))
        return 0;
    return (double)m.PeakWorkingSetSize / 1048576.0;
}
#else
typedef int system_is_posix; /* a file of C holds something */
#endif
