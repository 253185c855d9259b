/* runner.c - runs the test modules and counts.
 *     runner [MODULE [CASE]]    all, one module, or its cases whose name contains CASE
 * The last line is "N passed, N failed"; exit 1 if any failed or none ran.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "test.h"
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define T_MODULE(m) void t_##m(void);
#include "modules.h" /* one T_MODULE(NAME) for each tests/test_NAME.c, made by make */
#undef T_MODULE

static struct {
    long passed, failed, skipped;
    int bad;             /* failed checks of the case that runs */
    const char *name;    /* of the case */
    const char *only;    /* cases to run: substring, or NULL */
    const char *skip;    /* why the case stopped, or NULL */
    char tmp[256];
} t_state;

static double t_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void t_case(const char *name, void (*fn)(void))
{
    if (t_state.only && !strstr(name, t_state.only))
        return;
    const double start = t_seconds();
    t_state.bad = 0;
    t_state.skip = NULL;
    t_state.name = name;
    fn();
    const double s = t_seconds() - start;
    if (t_state.bad) {
        t_state.failed++;
        printf("  %s: %d failed checks\n", name, t_state.bad);
    } else if (t_state.skip) {
        t_state.skipped++;
        printf("  %s: skipped, %s\n", name, t_state.skip);
    } else {
        t_state.passed++;
    }
    if (s > 2.0)
        printf("  %s: %.1f s\n", name, s);
    fflush(stdout);
}

void t_skip(const char *why)
{
    t_state.skip = why;
}

int t_fast(void)
{
    const char *z = getenv("MANGO_TEST_FAST");
    return z && *z && *z != '0';
}

/* Counts a failure; true when it is one of the first of its case, to print. */
static int t_say(const char *file, int line)
{
    if (++t_state.bad > 12)
        return 0;
    printf("  %s:%d: %s: ", file, line, t_state.name ? t_state.name : "?");
    return 1;
}

int t_check(int ok, const char *what, const char *file, int line)
{
    if (!ok && t_say(file, line))
        printf("not so: %s\n", what);
    return ok;
}

int t_eq(long long got, long long want, const char *what, const char *file, int line)
{
    if (got != want && t_say(file, line))
        printf("%s is %lld, expected %lld\n", what, got, want);
    return got == want;
}

int t_near(double got, double want, double tol, const char *what, const char *file, int line)
{
    const int ok = fabs(got - want) <= tol;
    if (!ok && t_say(file, line))
        printf("%s is %.9g, expected %.9g within %.3g\n", what, got, want, tol);
    return ok;
}

int t_rel(double got, double want, double tol, const char *what, const char *file, int line)
{
    const double scale = fabs(want) > 1e-30 ? fabs(want) : 1e-30;
    return t_near(got, want, tol * scale, what, file, line);
}

int t_str(const char *got, const char *want, const char *what, const char *file, int line)
{
    const int ok = got && want ? strcmp(got, want) == 0 : got == want;
    if (!ok && t_say(file, line))
        printf("%s is \"%s\", expected \"%s\"\n", what, got ? got : "(null)",
               want ? want : "(null)");
    return ok;
}

int t_mem(const void *got, const void *want, size_t n, const char *what, const char *file,
          int line)
{
    const unsigned char *a = got, *b = want;
    size_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    if (i < n && t_say(file, line))
        printf("%s: byte %zu of %zu is %02x, expected %02x\n", what, i, n, a[i], b[i]);
    return i == n;
}

int t_status(mango_status got, mango_status want, const mango_err *err, const char *what,
             const char *file, int line)
{
    if (got != want && t_say(file, line))
        printf("%s gave %d (%s), expected %d%s%s\n", what, (int)got, mango_status_text(got),
               (int)want, err ? ": " : "", err ? err->text : "");
    return got == want;
}

int t_close(const float *got, const float *want, mango_idx n, double tol, const char *what,
            const char *file, int line)
{
    double scale = 1e-30, worst = -1.0;
    mango_idx at = 0;
    for (mango_idx i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        scale = fmax(scale, fabs((double)want[i]));
        if (d > worst || d != d) {
            worst = d == d ? d : (double)INFINITY;
            at = i;
        }
    }
    const int ok = worst <= tol * scale;
    if (!ok && t_say(file, line))
        printf("%s[%lld] is %.9g, expected %.9g; off by %.3g of the largest\n", what,
               (long long)at, (double)got[at], (double)want[at], worst / scale);
    return ok;
}

/* ---- the counting allocator: its size lies in front of each block ---- */
enum { T_FRONT = 64 };

static void *t_heap_fn(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    t_heap *h = ud;
    char *raw = ptr ? (char *)ptr - T_FRONT : NULL;
    size_t was = 0;
    if (raw)
        memcpy(&was, raw, sizeof was);
    t_check(was == old_size, "a block comes back with its size", __FILE__, __LINE__);
    if (new_size == 0) {
        h->live -= raw != NULL;
        h->bytes -= was;
        free(raw);
        return NULL;
    }
    h->calls++;
    if (h->fail_at && (h->stays_down ? h->calls >= h->fail_at : h->calls == h->fail_at))
        return NULL;
    char *q = malloc(T_FRONT + new_size);
    if (!q)
        return NULL;
    memset(q, 0xA5, T_FRONT + new_size);
    if (raw)
        memcpy(q + T_FRONT, ptr, was < new_size ? was : new_size);
    memcpy(q, &new_size, sizeof new_size);
    h->live += raw == NULL;
    h->bytes += new_size - was;
    free(raw);
    return q + T_FRONT;
}

mango_alloc t_heap_value(t_heap *h)
{
    const mango_alloc al = {t_heap_fn, h};
    return al;
}

const mgi_tensor *t_net_extra(const mango_net *net, const char *name)
{
    for (mango_idx i = 0; i < net->n_extra; i++)
        if (!strcmp(net->extra[i].name, name))
            return &net->extra[i];
    return NULL;
}

long t_oom_sweep(mango_status (*fn)(void *ud, const mango_alloc *al), void *ud)
{
    for (long k = 1;; k += k > 256 ? k / 16 : 1) {
        mango_status st = MANGO_E_MEM;
        for (int stays = 1; stays >= 0; stays--) {
            t_heap h = {0, k, stays, 0, 0};
            const mango_alloc al = t_heap_value(&h);
            st = fn(ud, &al);
            const int hit = h.calls >= k;
            if (h.live != 0 && t_say(__FILE__, __LINE__))
                printf("request %ld failed and %ld blocks stayed behind\n", k, h.live);
            if (st != (hit ? MANGO_E_MEM : MANGO_OK) && t_say(__FILE__, __LINE__))
                printf("request %ld %s, status %d\n", k, hit ? "failed" : "did not come",
                       (int)st);
            if (!hit || t_state.bad)
                return h.calls;
        }
    }
}

/* ---- paths ---- */
static char *t_path(const char *folder, const char *name)
{
    static char ring[8][1024];
    static int next;
    char *p = ring[next++ % 8];
    snprintf(p, sizeof ring[0], "%s/%s", folder, name);
    return p;
}

int t_exists(const char *path)
{
    return access(path, R_OK) == 0;
}

const char *t_golden(const char *name)
{
    const char *folder = getenv("MANGO_GOLDEN");
    return t_path(folder && *folder ? folder : "tests/golden", name);
}

const char *t_shared(const char *name)
{
    const char *folder = getenv("MANGO_SHARED");
    const char *p = t_path(folder && *folder ? folder : "../shared", name);
    return t_exists(p) ? p : NULL;
}

const char *t_tool(void)
{
    const char *p = getenv("MANGO_TOOL");
    return p && *p && t_exists(p) ? p : NULL;
}

const char *t_tmp(const char *name)
{
    if (!t_state.tmp[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(t_state.tmp, sizeof t_state.tmp, "%.200s/mango-test-XXXXXX",
                 base && *base ? base : "/tmp");
        if (!mkdtemp(t_state.tmp)) {
            fprintf(stderr, "runner: cannot make %s\n", t_state.tmp);
            exit(1);
        }
    }
    return t_path(t_state.tmp, name);
}

int t_write(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    int ok = f != NULL && (n == 0 || fwrite(p, 1, n, f) == n);
    if (f && fclose(f) != 0)
        ok = 0;
    return t_check(ok, path, __FILE__, __LINE__);
}

static void t_remove(const char *path)
{
    struct stat s;
    DIR *d = lstat(path, &s) == 0 && S_ISDIR(s.st_mode) ? opendir(path) : NULL;
    char inner[2048];
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            t_remove(inner);
        }
    if (d)
        closedir(d);
    remove(path);
}

static void t_module(const char *name, void (*fn)(void), const char *only)
{
    if (only && strcmp(only, name) != 0)
        return;
    const long before = t_state.passed + t_state.failed + t_state.skipped;
    const double start = t_seconds();
    fn();
    const long n = t_state.passed + t_state.failed + t_state.skipped - before;
    printf("%-12s %4ld cases %7.2f s\n", name, n, t_seconds() - start);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    t_state.only = argc > 2 ? argv[2] : NULL;
#define T_MODULE(m) t_module(#m, t_##m, only);
#include "modules.h"
#undef T_MODULE
    if (t_state.tmp[0])
        t_remove(t_state.tmp);
    printf("%ld passed, %ld failed", t_state.passed, t_state.failed);
    if (t_state.skipped)
        printf(", %ld skipped", t_state.skipped);
    printf("\n");
    return t_state.failed || t_state.passed == 0;
}
