/* test_tool_options.c - the command: how tests run it, its options and messages.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- running it ------------------------------------------------------------------ */

const char *t_work(const char *name)
{
    char path[600];
    mkdir(t_tmp("w"), 0777);
    snprintf(path, sizeof path, "w/%s", name);
    return t_tmp(path);
}

const char *t_here(const char *path)
{
    static char full[4096];
    char here[2000] = "";
    if (path[0] == '/' || !getcwd(here, sizeof here))
        return path;
    snprintf(full, sizeof full, "%s/%s", here, path);
    return full;
}

/* In the child: words to environment and arguments, then exec. */
static void t_tool_exec(const char *command, const char *tool)
{
    static char words[8192];
    char *argv[64] = {(char *)"mango"};
    int n = 1;
    mgi_copy(words, (mango_idx)sizeof words, command);
    for (char *w = strtok(words, " "); w && n < 63; w = strtok(NULL, " ")) {
        char *eq = strchr(w, '=');
        for (char *c = w; *c; c++)
            *c = *c == '~' ? ' ' : *c;
        if (n == 1 && eq && w[0] >= 'A' && w[0] <= 'Z') {
            *eq = 0;
            const rlim_t most = (rlim_t)strtoul(eq + 1, NULL, 10);
            const struct rlimit limit = {most, most};
            if (strcmp(w, "LIMIT") == 0)
                setrlimit(RLIMIT_FSIZE, &limit);
            else if (strcmp(w, "IGNORE") == 0)
                signal((int)most, SIG_IGN);
            else if (strcmp(w, "CLOSE") == 0)
                close((int)most);
            else if (strcmp(w, "STDOUT") == 0)
                dup2(open(eq + 1, O_WRONLY), 1);
            else
                setenv(w, eq + 1, 1);
        } else {
            argv[n++] = strcmp(w, "@") == 0 ? (char *)"" : w;
        }
    }
    execv(tool, argv);
}

long t_tool_start(const char *command)
{
    char tool[4096] = "", out[1100], err[1100];
    const char *name = t_tool();
    t_work("");
    snprintf(out, sizeof out, "%s", t_tmp("stdout"));
    snprintf(err, sizeof err, "%s", t_tmp("stderr"));
    if (!name)
        return -1;
    mgi_copy(tool, (mango_idx)sizeof tool, t_here(name));
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        for (int sig = 1; sig < 32; sig++) /* whatever the suite was started with, such as nohup */
            signal(sig, SIG_DFL);
        const int o = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        const int e = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (o >= 0 && e >= 0 && dup2(o, 1) >= 0 && dup2(e, 2) >= 0 &&
            chdir(t_work("")) == 0)
            t_tool_exec(command, tool);
        _exit(127);
    }
    return (long)pid;
}

void t_tool_signal(long pid, int sig)
{
    kill((pid_t)pid, sig);
}

static char *t_tool_slurp(const char *path, mango_idx *n)
{
    unsigned char *p = NULL;
    *n = 0;
    if (mgi_file_read(path, 1 << 26, NULL, &p, n, NULL) < 0)
        return calloc(1, 1);
    char *copy = malloc((size_t)*n + 1);
    memcpy(copy, p, (size_t)*n + 1);
    const mango_alloc libc = mgi_alloc_get(NULL);
    mgi_del(&libc, p, *n + 1, 1);
    return copy;
}

t_ran t_tool_end(long pid)
{
    t_ran r = {127, NULL, NULL, 0, 0};
    int status = 0;
    if (pid > 0 && waitpid((pid_t)pid, &status, 0) == (pid_t)pid)
        r.rc = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    r.out = t_tool_slurp(t_tmp("stdout"), &r.n_out);
    r.err = t_tool_slurp(t_tmp("stderr"), &r.n_err);
    return r;
}

t_ran t_tool_run(const char *command)
{
    return t_tool_end(t_tool_start(command));
}

void t_ran_free(t_ran *r)
{
    free(r->out);
    free(r->err);
    r->out = r->err = NULL;
}

static int t_tool_lines(const char *z)
{
    int n = 0;
    for (; *z; z++)
        n += *z == '\n';
    return n;
}

int t_tool_posix(void)
{
    const char *system = getenv("MANGO_TOOL_SYSTEM");
    return !system || strcmp(system, "windows") != 0;
}

int t_tool_is(const char *command, int rc, const char *says)
{
    if (!t_tool_posix() && (strstr(command, "/dev/") || strstr(command, "LIMIT=")))
        return 1;
    t_ran r = t_tool_run(command);
    int ok = r.rc == rc;
    if (rc != 0)
        ok = ok && r.n_out == 0 && t_tool_lines(r.err) == 1 && !strchr(r.err, '\r') &&
             !strchr(r.err, '\033');
    if (says)
        ok = ok && strstr(rc ? r.err : r.out, says) != NULL;
    if (!t_check(ok, command, __FILE__, __LINE__))
        printf("    exit code %d, %ld bytes out, stderr: %s\n    expected %d and '%s'\n",
               r.rc, (long)r.n_out, r.err, rc, says ? says : "");
    t_ran_free(&r);
    return ok;
}

int t_tool_refuses(const char *command, int rc, const char *says)
{
    const uint32_t before = t_work_state();
    const int ok = t_tool_is(command, rc, says);
    return t_check(t_work_state() == before, command, __FILE__, __LINE__) && ok;
}

int t_tool_works(void)
{
    static int known;
#ifdef MANGO_TEST_SINGLE
    return 0; /* the same program; once is enough */
#endif
    if (!known && t_tool()) {
        t_ran r = t_tool_run("version");
        known = r.rc == 0 && strncmp(r.out, "mango ", 6) == 0 ? 1 : -1;
        t_ran_free(&r);
    }
    return known == 1;
}

static uint32_t t_tool_walk(const char *path)
{
    struct stat s;
    mango_idx n = 0;
    uint32_t sum = mgi_crc32(0, path, (mango_idx)strlen(path));
    DIR *d = lstat(path, &s) == 0 && S_ISDIR(s.st_mode) ? opendir(path) : NULL;
    if (!d) {
        char *p = t_tool_slurp(path, &n);
        sum = mgi_crc32(sum, p, n);
        free(p);
        return sum;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            char inner[2048];
            snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            sum += t_tool_walk(inner); /* in any order */
        }
    closedir(d);
    return sum;
}

uint32_t t_work_state(void)
{
    return t_tool_walk(t_work(""));
}

int t_same_file(const char *a, const char *b)
{
    mango_idx na, nb;
    const int there = t_exists(t_work(a));
    char *p = t_tool_slurp(t_work(a), &na), *q = t_tool_slurp(t_work(b), &nb);
    const int same = there && na == nb && memcmp(p, q, (size_t)na) == 0;
    free(p);
    free(q);
    return t_check(same, b, __FILE__, __LINE__);
}

int t_same(const char *a, const char *b, const char *name)
{
    char one[400], two[400];
    snprintf(one, sizeof one, "%s/%s", a, name);
    snprintf(two, sizeof two, "%s/%s", b, name);
    return t_same_file(one, two);
}

int t_json(const t_ran *r, mgi_json *j)
{
    const mango_idx n = r->n_out;
    return r->rc == 0 && n > 2 && r->out[0] == '{' &&
           strchr(r->out, '\n') == r->out + n - 1 &&
           mgi_json_parse(j, r->out, n - 1, NULL, NULL) == MANGO_OK;
}

double t_json_number(const mgi_json *j, const char *key)
{
    const mgi_json_value *v = mgi_json_get(j, j->v, key);
    return v && v->kind == MGI_JSON_NUMBER ? v->d : (double)NAN;
}

/* ---- options and messages -------------------------------------------------------- */

static void t_tool_usage(void)
{
    static const char *const bad[][2] = {
        {"bogus", "no verb 'bogus'"},
        {"MANGO_SIMD=mmx version", "ref, sse2, avx2, avx512, neon"},
        {"mei --bogus", "no option '--bogus'"},
        {"mei --gen", "--gen wants a value"},
        {"mei --net x --target y", "--gen is missing"},
        {T_MEI " --out --json", "--out wants a value"},
        {T_MEI " --budget many", "--budget wants a whole number"},
        {T_MEI " --budget 1.5", "--budget wants a whole number"},
        {T_MEI " --lr nan", "--lr wants a number"},
        {T_MEI " --lr 0x1", "--lr wants a number"},
        {T_MEI " --seed one", "--seed wants a whole number"},
        {T_MEI " --threads -", "--threads wants a whole number"},
        {T_MEI " --resume=1", "--resume takes no value"},
        {T_MEI " extra", "unexpected argument 'extra'"},
        {"run --net " T_NET " --fill 7,1 --out y.safetensors", "--fill-input"},
        {"run --net x --input y --fill-input 1 --out y.safetensors", "--fill-input"},
        {"decode --gen x --codes y", "--out is missing"},
        {"encode --gen x --images y", "--out is missing"},
        {"import x.pt --arch a --graph b --out y", "--graph"},
        {"import x.pt --arch a --rename b --out y", "--rename"},
        {"eval --data cifar10 --root x", "--net"},
        {"eval --net x --gen y --data cifar10 --root x", "--net"},
        {"info", "FILE"},
        {"version now", "unexpected argument"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        t_tool_refuses(bad[i][0], 2, bad[i][1]);
}

static void t_tool_refused(void)
{
    static const char *const bad[][2] = {
        {T_MEI " --T 0", "1 to 4096"},
        {T_MEI " --T -3", "1 to 4096"},
        {T_MEI " --budget 0", "out of range"},
        {T_MEI " --budget 99999999999999999999999", "out of range"},
        {T_MEI " --k 0", "out of range"},
        {T_MEI " --k 5 --k-top 6", "k_top"},
        {T_MEI " --seed -1", "0 to 9007199254740992"},
        {T_MEI " --opt ttt", "near: tt"},
        {T_MEI " --target spikin1:3", "near: spiking1"},
        {T_MEI " --target spiking1:8", "units 0..7"},
        {T_MEI " --target spiking1:-1", "units 0..7"},
        {T_MEI " --target spiking1:0:5:0", "rows 0..4"},
        {T_MEI " --target spiking1", "layer:unit"},
        {T_MEI " --target class:10", "classes 0..9"},
        {T_MEI " --target @", "layer:unit"},
        {T_MEI " --net zoo:vgg16,width=0.125", "unknown key"},
        {T_MEI " --net zoo:snn_conv,width=0.125,in=2x28x28", "takes 2x28x28"},
        {T_MEI " --gen " T_NET, "generator"},
        {T_MEI " --fill x", "SEED,GAIN"},
        {T_MEI " --gen nothere", "no such weights file"},
        {T_MEI " --gen .", "is a folder"},
        {T_MEI " --out /proc/mango", "/proc/mango"},
        {T_MEI " --out /dev/null/x", "Not a directory"},
        {T_MEI " --out @", "usable path"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --batch 0 --out y", "1 to 4096"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --T 0 --out y", "1 to 4096"},
        {"run --net " T_NET " --fill 7,1 --fill-input -1 --out y", "out of range"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --record spikin1 --out y",
         "near: spiking1"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --record x* --out y",
         "no layer fits"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --spikes conv0 --out y",
         "does not spike"},
        {"run --net " T_NET " --fill 7,1 --input none.png --out y", "No such file"},
        {"run --net " T_NET " --fill 7,1 --input . --out y", "is a folder"},
        {"run --net " T_NET " --fill 7,1 --input /dev/null --out y", "not a picture"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --out none/y", "No such file"},
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --out .", "is a folder"},
        {"run --net " T_NET " --fill 7,1e300 --fill-input 1 --out y", "SEED,GAIN"},
        {"run --net " T_NET " --fill-input 1 --out y", "give --fill"},
        {"run --net zoo:snn_con --fill 7 --fill-input 1 --out y", "near: snn_conv"},
        {"encode --gen " T_NET " --fill 7,1 --images . --out y", "not a VQ-VAE"},
        {"encode --gen " T_GEN " --fill 7,1 --images none --out y", "No such file"},
        {"decode --gen " T_GEN " --fill 7,1 --codes none --out d", "No such file"},
        {"eval --net " T_NET " --fill 7,1 --data nope --root .", "no data set 'nope'"},
        {"eval --net " T_NET " --fill 7,1 --data cifar10 --root .", "test_batch.bin"},
        {"eval --net " T_NET " --fill 7,1 --data cifar10 --root . --limit 0",
         "out of range"},
        {"import none.pt --arch snn_conv --out y", "No such file"},
        {"import /dev/null --arch snn_con --out y", NULL},
        {"info none", "no such weights file"},
        {"info none.pt", "none.pt"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        t_tool_refuses(bad[i][0], 3, bad[i][1]);
}

static void t_tool_messages(void)
{
    char command[6000] = "info ", part[300];
    t_ran r =
        t_tool_run("run --net a\nb\033[31m\x7f\xc2\x9b\xff\xc3\xa4 --fill-input 1 --out y");
    T_EQ(r.rc, 3);
    T_CHECK(!t_tool_posix() || strstr(r.err, "a?b?[31m????\xc3\xa4:") != NULL);
    T_EQ(t_tool_lines(r.err), 1);
    t_ran_free(&r);
    memset(part, 'p', sizeof part);
    part[250] = 0;
    for (int i = 0; i < 16; i++)
        strcat(strcat(command, part), "/");
    t_tool_refuses(command, 3, "no such weights file"); /* the reason survives the path */
    part[200] = 0;
    snprintf(command, sizeof command, T_MEI " --budget 9 --out deep/%s/%s/it's", part,
             part);
    if (t_tool_posix())
        t_tool_is(command, 0, "report"); /* long and quoted, but good */
    r = t_tool_run(T_MEI " --budget 20 --out quiet --quiet --json --seed 1 --seed 2");
    T_EQ(r.n_err, 0);
    T_CHECK(strstr(r.out, "quiet/best.png") != NULL);
    t_ran_free(&r);
    r = t_tool_run(T_MEI " --budget 20 --out seed2 --quiet --json --seed 2");
    t_ran_free(&r);
    t_same("quiet", "seed2", "codes.npy"); /* the last one counts */
}

/* A full standard output is a failure, whatever the verb. */
static void t_tool_stdout(void)
{
    if (!t_exists("/dev/full"))
        T_SKIP("no /dev/full");
    t_ran r = t_tool_run("STDOUT=/dev/full info zoo:snn_conv");
    T_EQ(r.rc, 1);
    T_CHECK(strstr(r.err, "standard output: No space left") != NULL);
    t_ran_free(&r);
}

static void t_tool_help(void)
{
    static const char *const verb[] = {"mei",    "run",   "decode", "encode",
                                       "import", "info",  "eval",   "train",
                                       "data",   "bench", "version"};
    char command[64];
    for (mango_idx i = 0; i < MGI_COUNT(verb); i++) {
        snprintf(command, sizeof command, "%s --help", verb[i]);
        t_tool_is(command, 0, "\nexamples:\n  mango ");
        snprintf(command, sizeof command, "help %s", verb[i]);
        t_tool_is(command, 0, "--threads N");
        t_tool_is("--help", 0, verb[i]);
    }
    t_ran r = t_tool_run("");
    T_EQ(r.rc, 2);
    T_EQ(r.n_out, 0);
    t_ran_free(&r);
}

static void t_tool_selftest(void)
{
    static const char *const set[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    char command[64], first[64] = "";
    for (mango_idx i = 0; i < MGI_COUNT(set); i++) {
        snprintf(command, sizeof command, "MANGO_SIMD=%s version --selftest --threads %d",
                 set[i], 1 + (int)i % 2);
        t_ran r = t_tool_run(command);
        const char *hash = strstr(r.out, "selftest ");
        T_EQ(r.rc, 0);
        T_CHECK(hash && strstr(hash, "as it should be"));
        if (hash && !first[0])
            memcpy(first, hash, 26);
        else if (hash)
            T_MEM(hash, first, 26);
        t_ran_free(&r);
    }
}

void t_tool_absent(void)
{
    T_SKIP("no tool that runs here, or it is tested elsewhere");
}

void t_tool_options(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tool_usage);
    T_CASE(t_tool_refused);
    T_CASE(t_tool_messages);
    T_CASE(t_tool_stdout);
    T_CASE(t_tool_help);
    T_CASE(t_tool_selftest);
}
