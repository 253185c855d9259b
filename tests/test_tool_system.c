/* test_tool_system.c - the command among others: how it is started and stopped, what its
 * files meet, what its words hold.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define T_LONG T_MEI " --budget 100000000 --opt random --quiet"

static char *t_system_text(const char *name, mango_idx *n)
{
    unsigned char *p = NULL;
    mango_idx size = 0;
    if (mgi_file_read(t_work(name), 1 << 28, NULL, &p, &size, NULL) < 0)
        return NULL;
    *n = size;
    return (char *)p;
}

static void t_system_free(char *p, mango_idx n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    if (p)
        mgi_del(&al, p, n + 1, 1);
}

/* Wait until the search in `out` has written some of its journal. */
static void t_system_wait(const char *out)
{
    char path[300];
    struct stat s;
    const struct timespec pause = {0, 20000000};
    memset(&s, 0, sizeof s);
    snprintf(path, sizeof path, "%s/journal.jsonl", out);
    for (int i = 0; i < 1000; i++) {
        if (stat(t_work(path), &s) == 0 && s.st_size > 4000)
            return;
        nanosleep(&pause, NULL);
    }
    T_CHECK(s.st_size > 4000); /* it does not grow */
}

/* Whatever asks it to end: everything saved, 130, and the run goes on from there. */
static void t_system_signals(void)
{
    static const int sig[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGXCPU, SIGTERM};
    for (mango_idx i = 0; i < MGI_COUNT(sig); i++) {
        char out[24], command[300], run[40];
        mango_idx n = 0;
        snprintf(out, sizeof out, "sig%d", sig[i]);
        snprintf(command, sizeof command, T_LONG " --out %s", out);
        const long pid = t_tool_start(command);
        t_system_wait(out);
        t_tool_signal(pid, sig[i]);
        if (sig[i] == SIGHUP) /* the kernel and the shell both send it */
            t_tool_signal(pid, sig[i]);
        t_ran r = t_tool_end(pid);
        T_EQ(r.rc, 130);
        t_ran_free(&r);
        snprintf(run, sizeof run, "%s/run.json", out);
        char *p = t_system_text(run, &n);
        T_CHECK(p && strstr(p, "\"state\":\"interrupted\"") != NULL);
        t_system_free(p, n);
        snprintf(command, sizeof command, T_LONG " --stop-at -1 --resume --out %s", out);
        t_tool_is(command, 0, NULL);
    }
}

/* What nohup ignores stays ignored. */
static void t_system_nohup(void)
{
    const struct timespec pause = {0, 300000000};
    mango_idx n = 0;
    const long pid = t_tool_start("IGNORE=1 " T_LONG " --out nohup"); /* 1: SIGHUP */
    t_system_wait("nohup");
    t_tool_signal(pid, SIGHUP);
    nanosleep(&pause, NULL);
    char *p = t_system_text("nohup/run.json", &n);
    T_CHECK(p && strstr(p, "\"state\":\"running\""));
    t_system_free(p, n);
    t_tool_signal(pid, SIGTERM);
    t_ran r = t_tool_end(pid);
    T_EQ(r.rc, 130);
    t_ran_free(&r);
}

/* Started without a descriptor, as a daemon may be: no message goes into the journal. */
static void t_system_closed(void)
{
    static const char *const closed[] = {"CLOSE=2", "CLOSE=1", "CLOSE=0",
                                         "CLOSE=0 CLOSE=1 CLOSE=2"};
    for (mango_idx i = 0; i < MGI_COUNT(closed); i++) {
        char command[300], out[24], journal[40];
        mango_idx n = 0, lines = 0;
        snprintf(out, sizeof out, "closed%d", (int)i);
        snprintf(command, sizeof command,
                 "%s " T_MEI " --budget 100000000 --opt random --out %s", closed[i],
                 out); /* not quiet: it has something to say in the end */
        const long pid = t_tool_start(command);
        t_system_wait(out);
        t_tool_signal(pid, SIGTERM);
        t_ran r = t_tool_end(pid);
        T_EQ(r.rc, 130);
        t_ran_free(&r);
        snprintf(journal, sizeof journal, "%s/journal.jsonl", out);
        char *p = t_system_text(journal, &n);
        for (char *z = p; z && *z; z = strchr(z, '\n') + 1, lines++)
            if (!T_CHECK(*z == '{' && strchr(z, '\n')))
                break;
        T_CHECK(lines > 3);
        t_system_free(p, n);
        snprintf(command, sizeof command, T_LONG " --stop-at -1 --resume --out %s", out);
        t_tool_is(command, 0, NULL);
    }
}

/* A machine that fails is a failure, 1, with its reason; a wrong path is refused, 3. */
static void t_system_reasons(void)
{
    static const char *const w[][2] = {
        {"run --net " T_NET " --fill 7,1 --fill-input 1 --out /dev/full", "No space left"},
        {"LIMIT=100 run --net " T_NET " --fill 7,1 --fill-input 1 --out y",
         "y: File too large"},
        {"LIMIT=300 decode --gen " T_GEN " --fill 7,1 --codes c.npy --out d",
         "File too large"},
        {"LIMIT=100 " T_MEI " --budget 9 --out m", "File too large"},
    };
    const int32_t code[64] = {0};
    const mango_idx shape[2] = {1, 64};
    T_STATUS(mango_npy_write(t_work("c.npy"), MANGO_NPY_I4, 2, shape, code, NULL), MANGO_OK);
    for (mango_idx i = t_exists("/dev/full") ? 0 : 1; i < MGI_COUNT(w); i++)
        t_tool_is(w[i][0], 1, w[i][1]);
    t_tool_refuses("run --net " T_NET " --fill 7,1 --fill-input 1 --out none/y", 3,
                   "No such file");
    /* the journal it left, a header alone, is not in the way afterwards */
    T_REQUIRE(mkdir(t_work("m2"), 0777) == 0 && mkdir(t_work("m2/run.json"), 0777) == 0);
    t_tool_is(T_MEI " --budget 9 --out m2", 3, "m2/run.json: is a folder");
    T_REQUIRE(rmdir(t_work("m2/run.json")) == 0);
    t_tool_is(T_MEI " --budget 9 --out m2", 0, "after 9 queries");
}

/* Outputs: through a link, with a name of 254 bytes; a pipe is no file to replace. */
static void t_system_outputs(void)
{
    char command[600], name[260];
    struct stat s;
    T_REQUIRE(symlink("target.safetensors", t_work("link.safetensors")) == 0);
    t_tool_is("run --net " T_NET " --fill 7,1 --fill-input 1 --out link.safetensors", 0, NULL);
    T_CHECK(lstat(t_work("link.safetensors"), &s) == 0 && S_ISLNK(s.st_mode));
    T_CHECK(t_exists(t_work("target.safetensors")));
    memset(name, 'n', sizeof name);
    strcpy(name + 242, ".safetensors");
    snprintf(command, sizeof command,
             "run --net " T_NET " --fill 7,1 --fill-input 1 --out %s", name);
    t_tool_is(command, 0, NULL);
    t_same_file("target.safetensors", name);
    T_REQUIRE(mkfifo(t_work("pipe"), 0666) == 0);
    t_tool_is("run --net " T_NET " --fill 7,1 --fill-input 1 --out pipe", 3, "nobody");
    t_tool_is("run --net " T_NET " --fill 7,1 --input pipe --out y", 3, "pipe");
    t_tool_is("run --net pipe --fill-input 1 --out y", 3, "pipe: a pipe or device");
    t_tool_is("info pipe", 3, "pipe: a pipe or device");
    t_tool_is("info /dev/null", 3, "/dev/null: a pipe or device");
    T_CHECK(stat(t_work("pipe"), &s) == 0 && S_ISFIFO(s.st_mode));
    unlink(t_work("pipe"));
}

/* A file's own words: JSON stays JSON, and a terminal is given nothing to obey. */
static void t_system_words(void)
{
    static const char text[] = "mango-graph 1\nnet arch=a\"b\\c\nz input - shape=3\n"
                               "say\"it relu z\n";
    static const char *const bad[] = {"\xe2\x80\xae", "\xe2\x81\xa6",    "\xe2\x80\x8b",
                                      "\xef\xbb\xbf", "\xc2\x9b",        "\xc2\xad",
                                      "\x1b",         "\xf3\xa0\x80\x81"};
    mango_net *net = NULL;
    mango_err err = {""};
    mgi_json j;
    T_OK_OR_RETURN(mango_net_parse(&net, text, (mango_idx)sizeof text - 1, NULL, &err), &err);
    T_OK(mango_net_meta_set(
             net, "note",
             "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xc2\x9b\xc2\xad\x1b"
             "\xf3\xa0\x80\x81 and \"this\" \xc3\xa4"),
         &err);
    T_OK(mango_net_save(net, t_work("words.safetensors"), "F16", &err), &err);
    mango_net_destroy(net);
    t_ran r = t_tool_run("info words.safetensors --json");
    if (T_CHECK(t_json(&r, &j))) {
        const mgi_json_value *v = mgi_json_get(&j, j.v, "arch");
        T_CHECK(v && strcmp(v->str, "a\"b\\c") == 0);
        mgi_json_free(&j);
    }
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        T_CHECK(!strstr(r.out, bad[i]));
    t_ran_free(&r);
    r = t_tool_run("info words.safetensors --graph");
    T_EQ(r.rc, 0);
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        T_CHECK(!strstr(r.out, bad[i]));
    T_CHECK(strstr(r.out, " and \"this\" \xc3\xa4") != NULL);
    t_ran_free(&r);
    if (t_tool_posix()) /* elsewhere a file has no such name */
        t_tool_is("run --net words.safetensors --fill-input 1 --out a\nb\tc", 0,
                  "a?b?c: 1 tensors of 1 inputs");
    r = t_tool_run("info a\xe2\x80\xae" "b\xe2\x80\x8f.safetensors");
    T_CHECK(r.rc == 3 && strstr(r.err, "a???b???.safetensors") != NULL);
    t_ran_free(&r);
}

/* Whole numbers may be written as reals that are whole. */
static void t_system_whole(void)
{
    t_tool_is(T_MEI " --budget 2e1 --T 6.0 --out whole1", 0, "after 20 queries");
    t_tool_refuses(T_MEI " --budget 1.5e0", 2, "whole number");
    t_tool_refuses(T_MEI " --budget 1e-3", 2, "whole number");
    t_tool_refuses(T_MEI " --budget 1e12", 3, "out of range");
}

/* `make demo` on two neurons: its page is there from the start, whole in the end, with the
 * activation under each picture, and it says how far it is. */
static void t_system_demo(void)
{
    char command[1000], page[400];
    mango_idx n = 0;
    if (!t_exists("tools/demo.sh") || !t_exists("weights/snn_conv_cifar10.safetensors") ||
        !t_exists("weights/sngan_cifar10.safetensors"))
        T_SKIP("not in the project's folder");
    snprintf(page, sizeof page, "%s", t_work("demo"));
    snprintf(command, sizeof command,
             "MANGO='%s' OUT='%s' NET=weights/snn_conv_cifar10.safetensors BUDGET=10 T=2 "
             "TARGETS='spiking1:3 class:1' sh tools/demo.sh >'%s.log' 2>&1",
             t_tool(), page, page);
    T_EQ(system(command), 0);
    char *p = t_system_text("demo/index.html", &n);
    T_REQUIRE(p != NULL);
    T_CHECK(strstr(p, "spiking1-3/best.png") && strstr(p, " spikes per step</figcaption>"));
    T_CHECK(strstr(p, "class-1/best.png") && strstr(p, " probability</figcaption>"));
    T_CHECK(strstr(p, "</html>") && !strstr(p, "refresh"));
    t_system_free(p, n);
    p = t_system_text("demo.log", &n);
    T_CHECK(p && strstr(p, "2 of 2: class:1, all in about "));
    t_system_free(p, n);
}

void t_tool_system(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_system_signals);
    T_CASE(t_system_nohup);
    T_CASE(t_system_closed);
    T_CASE(t_system_reasons);
    T_CASE(t_system_outputs);
    T_CASE(t_system_words);
    T_CASE(t_system_whole);
    T_CASE(t_system_demo);
}
#undef T_LONG
