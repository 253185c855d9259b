/* test_tool_train.c - `mango train` from outside: stops, two at once, what is left behind.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define T_TOOL_TRAIN                                                                       \
    "train vqvae --arch vqvae,width=0.125 --data folder --root ppm --batch 4 --threads 1 " \
    "--quiet "

/* ppm/SPLIT/{cat,dog}/x.ppm, eight different pictures each. */
static void t_tool_train_data(void)
{
    static const char *const folder[] = {"ppm",          "ppm/test",     "ppm/train",
                                         "ppm/test/cat", "ppm/test/dog", "ppm/train/cat",
                                         "ppm/train/dog"};
    unsigned char ppm[13 + 3072 + 1] = "P6\n32 32\n255\n";
    char name[64];
    for (mango_idx i = 0; i < MGI_COUNT(folder); i++)
        mkdir(t_work(folder[i]), 0777);
    for (int k = 0; k < 16; k++) {
        for (int i = 0; i < 3072; i++)
            ppm[13 + i] = (unsigned char)(i * (k + 3) / 7 + 11 * k * (i % 3));
        snprintf(name, sizeof name, "%s/%d.ppm", folder[3 + k % 4], k);
        t_write(t_work(name), ppm, 13 + 3072);
    }
}

static void t_tool_train_copy(const char *from, const char *to, mango_idx less)
{
    unsigned char *p = NULL;
    mango_idx n = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    if (T_OK(mgi_file_read(t_work(from), 1 << 24, &al, &p, &n, NULL), NULL)) {
        t_write(t_work(to), p, (size_t)(n - less));
        mgi_del(&al, p, n + 1, 1);
    }
}

/* A stop between the checkpoint of an epoch and the files that follow: the line of
 * the curves half written, chart, sheet, tracked and final weights missing. */
static void t_tool_train_gap(void)
{
    static const char *const lost[] = {"g.safetensors", "g_002.safetensors",
                                       "g.safetensors.svg", "g.safetensors.png"};
    char kept[40];
    t_tool_train_data();
    if (!t_tool_is(T_TOOL_TRAIN "--epochs 2 --track 1,2 --out g.safetensors", 0, "epoch 2/2"))
        return;
    for (mango_idx i = 0; i < MGI_COUNT(lost); i++) {
        snprintf(kept, sizeof kept, "kept%d", (int)i);
        t_tool_train_copy(lost[i], kept, 0);
        remove(t_work(lost[i]));
    }
    t_tool_train_copy("g.safetensors.tsv", "kept.tsv", 0);
    t_tool_train_copy("kept.tsv", "g.safetensors.tsv",
                      3); /* half of the seconds, no end of line */
    t_tool_is(T_TOOL_TRAIN "--epochs 2 --track 1,2 --out g.safetensors --resume", 0,
              "weights: g.safetensors");
    for (mango_idx i = 0; i < MGI_COUNT(lost); i++) {
        snprintf(kept, sizeof kept, "kept%d", (int)i);
        if (!T_CHECK(t_exists(t_work(lost[i]))))
            printf("  %s is missing\n", lost[i]);
        else if (i >= 2) /* the weights name the command that made them */
            t_same_file(lost[i], kept);
    }
    unsigned char *a = NULL, *b = NULL;
    mango_idx n = 0, m = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    if (T_OK(mgi_file_read(t_work("g.safetensors.tsv"), 1 << 20, &al, &a, &n, NULL), NULL) &&
        T_OK(mgi_file_read(t_work("kept.tsv"), 1 << 20, &al, &b, &m, NULL), NULL)) {
        T_EQ(n, m);
        T_MEM(a, b, m - 4); /* all but the last epoch's seconds */
    }
    mgi_del(&al, a, n + 1, 1);
    mgi_del(&al, b, m + 1, 1);
}

static void t_tool_train_wait(const char *name)
{
    const struct timespec moment = {0, 20000000};
    for (int i = 0; i < 1500 && !t_exists(t_work(name)); i++)
        nanosleep(&moment, NULL);
}

/* A second training on the same files is refused in one line, before and after there is
 * a checkpoint; the first one is not disturbed, and a later one may go on from it. */
static void t_tool_train_twice(void)
{
    t_tool_train_data();
    remove(t_work("w.st.ckpt"));
    remove(t_work("w.st.tsv"));
    const long pid = t_tool_start(T_TOOL_TRAIN "--epochs 600 --json --out w.st");
    t_tool_train_wait("w.st.ckpt");
    t_tool_is(T_TOOL_TRAIN "--epochs 600 --out w.st --resume", 3,
              "w.st.tsv: another process is using it");
    if (t_tool_posix()) {
        T_REQUIRE(symlink("w.st", t_work("link.st")) == 0);
        t_tool_is(T_TOOL_TRAIN "--epochs 600 --out link.st --resume", 3,
                  "w.st.tsv: another process is using it");
        T_CHECK(!t_exists(t_work("link.st.tsv")));
    }
    t_tool_signal(pid, SIGTERM);
    t_ran r = t_tool_end(pid);
    if (t_tool_posix()) /* elsewhere a signal is no question */
        T_EQ(r.rc, 130);
    t_ran_free(&r);
    t_tool_refuses(T_TOOL_TRAIN "--epochs 600 --out w.st", 3, "is there already");
    t_tool_refuses(T_TOOL_TRAIN "--epochs 600 --out none.st --resume", 3,
                   "no checkpoint to go on from");
}

#if defined(SIGUSR1)
/* Stopped by a signal, gone on, and the same bits as a training that was not. */
static void t_tool_train_signal(int sig, const char *name)
{
    char command[400], file[40];
    struct sigaction was;
    if (sigaction(sig, NULL, &was) == 0 && was.sa_handler == SIG_IGN)
        return; /* as under nohup: the tool leaves it ignored */
    snprintf(command, sizeof command, T_TOOL_TRAIN "--epochs 16 --json --out %s", name);
    const long pid = t_tool_start(command);
    snprintf(file, sizeof file, "%s.tsv", name);
    t_tool_train_wait(file);
    t_tool_signal(pid, sig);
    t_ran r = t_tool_end(pid);
    if (!T_EQ(r.rc, 130))
        printf("  signal %d: %s\n", sig, r.err);
    t_ran_free(&r);
    snprintf(command, sizeof command, T_TOOL_TRAIN "--epochs 16 --out %s --resume", name);
    snprintf(file, sizeof file, "%s.ckpt", name);
    if (t_tool_is(command, 0, "epoch 16/16"))
        t_same_file(file, "whole.st.ckpt");
}

static void t_tool_train_signals(void)
{
    if (!t_tool_posix())
        T_SKIP("signals of POSIX");
    t_tool_train_data();
    if (!t_tool_is(T_TOOL_TRAIN "--epochs 16 --out whole.st", 0, "epoch 16/16"))
        return;
    t_tool_train_signal(SIGHUP, "hup.st");
    t_tool_train_signal(SIGUSR1, "usr1.st");
    t_tool_train_signal(SIGUSR2, "usr2.st");
    t_tool_train_signal(SIGTERM, "term.st");
}
#endif

void t_tool_train(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tool_train_gap);
    T_CASE(t_tool_train_twice);
#if defined(SIGUSR1)
    T_CASE(t_tool_train_signals);
#endif
}
