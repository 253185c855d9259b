/* test_file.c - files: what a write leaves, whatever stands at its target or stops it.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "test.h"
#if defined(_WIN32)
void t_file(void)
{
}
#else
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A fresh folder below t_tmp, as text that stays. */
static const char *t_file_folder(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s", t_tmp(name));
    mkdir(path, 0777);
    return path;
}

static int t_file_holds(const char *path, const char *text)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_idx n = 0;
    if (mgi_file_read(path, 1000, NULL, &p, &n, NULL) < 0)
        return 0;
    const int same = n == (mango_idx)strlen(text) && memcmp(p, text, (size_t)n) == 0;
    mgi_del(&al, p, n + 1, 1);
    return same;
}

/* How many names a folder holds. */
static int t_file_names(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

static int t_file_mode(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (int)(s.st_mode & 0777) : -1;
}

/* A file keeps its mode, a new one gets what umask leaves. */
static void t_file_modes(void)
{
    char path[500];
    mango_err err = {""};
    const mode_t was = umask(027);
    snprintf(path, sizeof path, "%s/a", t_file_folder("modes"));
    T_OK(mgi_file_write(path, "1", 1, &err), &err);
    T_EQ(t_file_mode(path), 0640);
    chmod(path, 0600);
    T_OK(mgi_file_write(path, "2", 1, &err), &err);
    T_EQ(t_file_mode(path), 0600);
    chmod(path, 0666);
    T_OK(mgi_file_write(path, "3", 1, &err), &err);
    T_EQ(t_file_mode(path), 0666);
    T_CHECK(t_file_holds(path, "3"));
    umask(was);
}

/* Links are written through: relative ones, chains, and one that leads to nothing yet. */
static void t_file_links(void)
{
    char folder[400], a[500], b[500], c[500];
    struct stat s;
    mango_err err = {""};
    snprintf(folder, sizeof folder, "%s", t_file_folder("links"));
    snprintf(a, sizeof a, "%s/inner", folder);
    mkdir(a, 0777);
    snprintf(a, sizeof a, "%s/inner/file", folder);
    snprintf(b, sizeof b, "%s/link", folder);
    snprintf(c, sizeof c, "%s/chain", folder);
    T_REQUIRE(symlink("inner/file", b) == 0 && symlink("link", c) == 0);
    T_OK(mgi_file_write(b, "one", 3, &err), &err);
    T_CHECK(t_file_holds(a, "one"));
    T_OK(mgi_file_write(c, "two", 3, &err), &err);
    T_CHECK(t_file_holds(a, "two"));
    T_CHECK(lstat(b, &s) == 0 && S_ISLNK(s.st_mode));
    T_CHECK(lstat(c, &s) == 0 && S_ISLNK(s.st_mode));
    snprintf(a, sizeof a, "%s/round", folder);
    T_REQUIRE(symlink("round", a) == 0);
    T_STATUS(mgi_file_write(a, "x", 1, &err), MANGO_E_IO);
}

/* A name as long as the system allows is good. */
static void t_file_long_name(void)
{
    char path[800], name[256];
    mango_err err = {""};
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s", t_file_folder("long"), name);
    for (int i = 0; i < 2; i++) {
        T_OK(mgi_file_write(path, "long", 4, &err), &err);
        T_CHECK(t_file_holds(path, "long"));
    }
    T_EQ(t_file_names(t_file_folder("long")), 1);
}

/* What a killed process left does not pile up: the next one takes it over. */
static void t_file_leftover(void)
{
    char folder[400], path[500], left[500];
    mango_err err = {""};
    snprintf(folder, sizeof folder, "%s", t_file_folder("left"));
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(left, sizeof left, "%s/.mango-%08lx-0.tmp", folder,
             (unsigned long)mgi_crc32(0, "a", 1));
    for (int i = 0; i < 2; i++) { /* a new file, then one that is there */
        const int fd = open(left, O_WRONLY | O_CREAT, 0666);
        T_REQUIRE(fd >= 0 && write(fd, "half a file", 11) == 11);
        close(fd);
        T_OK(mgi_file_write(path, "whole", 5, &err), &err);
        T_CHECK(t_file_holds(path, "whole"));
    }
    T_EQ(t_file_names(folder), 1);
}

/* Write the file again and again, until killed. */
static void t_file_write_on(const char *path, char *big, mango_idx n)
{
    for (int k = 0;; k = (k + 1) % 26) {
        memset(big, 'a' + k, (size_t)n);
        mgi_file_write(path, big, n, NULL);
    }
}

/* Killed in the middle of writes, at any moment: the target is whole. */
static void t_file_killed(void)
{
    char folder[400], path[500];
    static char big[300000];
    mango_err err = {""};
    const mango_alloc al = mgi_alloc_get(NULL);
    snprintf(folder, sizeof folder, "%s", t_file_folder("killed"));
    snprintf(path, sizeof path, "%s/a", folder);
    for (int i = 0; i < 20; i++) {
        const struct timespec pause = {0, 1000000 + 700000 * i};
        const pid_t pid = fork();
        if (pid == 0)
            t_file_write_on(path, big, (mango_idx)sizeof big);
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        unsigned char *p = NULL;
        mango_idx n = 0;
        if (mgi_file_read(path, 1 << 20, NULL, &p, &n, NULL) < 0)
            continue; /* killed before the first */
        T_EQ(n, sizeof big);
        T_CHECK(n == 0 || (p[0] >= 'a' && p[0] == p[n - 1]));
        mgi_del(&al, p, n + 1, 1);
    }
    T_OK(mgi_file_write(path, "end", 3, &err), &err);
    T_EQ(t_file_names(folder), 1);
}

/* Pipes: with nobody at the other end refused, not waited for, and never replaced. */
static void t_file_pipes(void)
{
    char path[500];
    struct stat s;
    mango_err err = {""};
    unsigned char *p = NULL;
    mango_idx n = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    snprintf(path, sizeof path, "%s/pipe", t_file_folder("pipes"));
    T_REQUIRE(mkfifo(path, 0666) == 0);
    T_STATUS(mgi_file_write(path, "x", 1, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "nobody") != NULL);
    T_STATUS(mgi_file_read(path, 100, NULL, &p, &n, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "nobody") != NULL);
    const pid_t pid = fork();
    if (pid == 0) { /* a writer that comes late, and is slow */
        const struct timespec pause = {0, 100000000};
        nanosleep(&pause, NULL);
        const int fd = open(path, O_WRONLY);
        nanosleep(&pause, NULL);
        _exit(write(fd, "ab", 2) == 2 ? 0 : 1);
    }
    if (T_OK(mgi_file_read(path, 100, NULL, &p, &n, &err), &err)) {
        T_EQ(n, 2);
        T_MEM(p, "ab", 3);
        mgi_del(&al, p, n + 1, 1);
    }
    waitpid(pid, NULL, 0);
    const int fd = open(path, O_RDONLY | O_NONBLOCK);
    char got[4] = "";
    T_OK(mgi_file_write(path, "cd", 2, &err), &err);
    T_CHECK(read(fd, got, 3) == 2 && !strcmp(got, "cd"));
    close(fd);
    T_CHECK(stat(path, &s) == 0 && S_ISFIFO(s.st_mode));
    mgi_applog log;
    T_STATUS(mgi_applog_open(&log, path, 0, &err), MANGO_E_IO);
}

/* A path like /dev/fd/N is that descriptor, at its place. */
static void t_file_descriptor(void)
{
    char path[500], name[40];
    mango_err err = {""};
    if (!t_exists("/dev/fd/0"))
        T_SKIP("no /dev/fd");
    snprintf(path, sizeof path, "%s/a", t_file_folder("fd"));
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    T_REQUIRE(fd >= 0 && write(fd, "head ", 5) == 5);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    T_OK(mgi_file_write(name, "body", 4, &err), &err);
    T_CHECK(write(fd, " tail", 5) == 5);
    close(fd);
    T_CHECK(t_file_holds(path, "head body tail"));
}

/* The machine's failures are told from wrong paths, with their own reason. */
static void t_file_reasons(void)
{
    char path[500];
    mango_err err = {""};
    unsigned char *p = NULL;
    mango_idx n = 0;
    snprintf(path, sizeof path, "%s/a", t_file_folder("reasons"));
    if (t_exists("/dev/full")) {
        T_STATUS(mgi_file_write("/dev/full", "x", 1, &err), MANGO_E_SYSTEM);
        T_CHECK(strstr(err.text, strerror(ENOSPC)) != NULL);
    }
    T_STATUS(mgi_file_write(t_file_folder("reasons"), "x", 1, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "folder") != NULL);
    T_OK(mgi_file_write(path, "old", 3, &err), &err);
    struct rlimit was, few = {0, 0};
    const int top = dup(0); /* no descriptor but those that are open */
    getrlimit(RLIMIT_NOFILE, &was);
    few.rlim_cur = (rlim_t)top, few.rlim_max = was.rlim_max;
    close(top);
    setrlimit(RLIMIT_NOFILE, &few);
    T_STATUS(mgi_file_write(path, "new", 3, &err), MANGO_E_SYSTEM);
    T_CHECK(strstr(err.text, strerror(EMFILE)) != NULL);
    T_STATUS(mgi_file_read(path, 9, NULL, &p, &n, &err), MANGO_E_SYSTEM);
    setrlimit(RLIMIT_NOFILE, &was);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    few.rlim_cur = 2, few.rlim_max = was.rlim_max;
    setrlimit(RLIMIT_FSIZE, &few);
    T_STATUS(mgi_file_write(path, "new", 3, &err), MANGO_E_SYSTEM);
    T_CHECK(strstr(err.text, strerror(EFBIG)) != NULL);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    T_CHECK(t_file_holds(path, "old"));
    T_EQ(t_file_names(t_file_folder("reasons")), 1);
}

/* A weights file that is cut short while a net of it lives harms nobody. */
static void t_file_shrinks(void)
{
    const char *path = t_tmp("shrinks.safetensors");
    mango_err err = {""};
    mango_net *n = NULL;
    mango_plan *plan = NULL;
    mango_plan_options o;
    static float x[3 * 32 * 32], y[2][10];
    T_OK_OR_RETURN(mango_net_zoo(&n, "snn_conv,width=0.125", NULL, &err), &err);
    T_OK(mango_net_fill(n, 7, 1), &err);
    T_OK(mango_net_save(n, path, "F16", &err), &err);
    mango_net_destroy(n);
    for (int i = 0; i < 2; i++) {
        n = NULL, plan = NULL;
        T_OK_OR_RETURN(mango_net_open(&n, path, NULL, &err), &err);
        if (i == 1)
            T_EQ(truncate(path, 0), 0);
        const mango_reading r = {mango_net_layers(n) - 1, MANGO_READ_MEAN, y[i]};
        mango_plan_defaults(&o);
        o.batch = 1, o.T = 3, o.raw = 1;
        T_OK(mango_plan_create(&plan, n, &o, 1, &r, NULL, &err), &err);
        T_OK(mango_plan_run(plan, 1, x), &err);
        mango_plan_destroy(plan);
        mango_net_destroy(n);
    }
    T_MEM(y[0], y[1], sizeof y[0]);
}

void t_file(void)
{
    T_CASE(t_file_modes);
    T_CASE(t_file_links);
    T_CASE(t_file_long_name);
    T_CASE(t_file_leftover);
    T_CASE(t_file_killed);
    T_CASE(t_file_pipes);
    T_CASE(t_file_descriptor);
    T_CASE(t_file_reasons);
    T_CASE(t_file_shrinks);
}
#endif
