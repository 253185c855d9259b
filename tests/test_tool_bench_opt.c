/* test_tool_bench_opt.c - `mango bench opt` from outside: runs, resuming, shards, tables.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define T_BO_NETS "--gen " T_GEN " --fill 7,1 --T 4 --threads 1 --quiet "
#define T_BO_RUN "bench opt --budgets 10,40 --seeds 2 " T_BO_NETS

/* All of a small text file; "" when it is not there. */
static const char *t_bo_text(const char *name, char text[65536])
{
    FILE *f = fopen(t_work(name), "rb");
    const size_t n = f ? fread(text, 1, 65535, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

static int t_bo_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void t_bo_write(const char *name, const char *text)
{
    FILE *f = fopen(t_work(name), "wb");
    T_REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
}

static int t_bo_folder(const char *name)
{
    return mkdir(t_work(name), 0777) == 0 || errno == EEXIST;
}

static void t_bo_units(void)
{
    t_bo_write("units", "# two units\n" T_NET " spiking1:3\n" T_NET " spiking0:5\n");
}

/* Number `key` of the row of an optimizer at a budget; NaN: no such row. */
static double t_bo_row(const mgi_json *j, const char *opt, int64_t queries, const char *key)
{
    const mgi_json_value *rows = mgi_json_get(j, j->v, "rows");
    for (mango_idx i = 0; rows && i < rows->n; i++) {
        const mgi_json_value *r = mgi_json_at(j, rows, i), *v = mgi_json_get(j, r, key);
        if (!strcmp(mgi_json_get(j, r, "opt")->str, opt) &&
            mgi_json_get(j, r, "queries")->i == queries && v)
            return v->d;
    }
    return NAN;
}

/* The best of a run of `mango mei` with the same options. */
static double t_bo_mei(const char *target, const char *opt, int seed)
{
    char command[512];
    mgi_json j;
    double best = NAN;
    snprintf(command, sizeof command,
             "mei --gen " T_GEN " --net " T_NET " --fill 7,1 --T 4 --target %s --opt %s "
             "--seed %d --budget 40 --out bo-%s-%d-%d --json --quiet --threads 1",
             target, opt, seed, opt, seed, target[7] - 48);
    t_ran r = t_tool_run(command);
    if (T_CHECK(r.rc == 0) && T_CHECK(t_json(&r, &j))) {
        best = t_json_number(&j, "best");
        mgi_json_free(&j);
    }
    t_ran_free(&r);
    return best;
}

/* The table's means are those of searches run one by one; an optimizer that looks at no
 * value, too, whose units share one evaluation. */
static void t_bo_values(void)
{
    mgi_json j;
    t_bo_units();
    t_ran r = t_tool_run(T_BO_RUN "--out bo --units units --opts random,tt-s --json");
    T_CHECK(r.rc == 0);
    if (!T_CHECK(t_json(&r, &j)))
        return;
    const char *opt[] = {"random", "tt-s"};
    for (int o = 0; o < 2; o++) {
        double sum = 0;
        for (int s = 0; s < 2; s++)
            sum += t_bo_mei("spiking1:3", opt[o], s) + t_bo_mei("spiking0:5", opt[o], s);
        T_NEAR(t_bo_row(&j, opt[o], 40, "activation"), sum / 4, 1e-5);
        T_CHECK(t_bo_row(&j, opt[o], 10, "activation") <= sum / 4 + 1e-5);
        T_NEAR(t_bo_row(&j, opt[o], 40, "units"), 2, 0);
    }
    T_CHECK(t_bo_row(&j, "tt-s", 40, "p") <= 1.0);
    mgi_json_free(&j);
    t_ran_free(&r);
}

/* Killed anywhere it goes on: a file cut in the middle of a line gives the same table, and
 * nothing that was done is done again. Other options are other runs. */
static void t_bo_resume(void)
{
    static char whole[65536], now[65536], table[65536], again[65536];
    t_bo_units();
    T_CHECK(
        t_tool_is(T_BO_RUN "--out bo2 --units units --opts random,tt-s", 0, "against it"));
    t_bo_text("bo2/results.jsonl", whole);
    t_bo_text("bo2/queries.tsv", table);
    T_CHECK(t_bo_lines(whole) == 8 && t_bo_lines(table) > 1);
    const size_t cut = strlen(whole) * 2 / 3;
    strcpy(now, whole);
    now[cut] = 0;
    t_bo_write("bo2/results.jsonl", now);
    T_CHECK(
        t_tool_is(T_BO_RUN "--out bo2 --units units --opts random,tt-s", 0, "against it"));
    t_bo_text("bo2/results.jsonl", again);
    const size_t kept = (size_t)(strrchr(now, '\n') - now);
    T_CHECK(t_bo_lines(again) == 8 && !strncmp(again, whole, kept));
    T_CHECK(!strcmp(t_bo_text("bo2/queries.tsv", now), table));
    T_CHECK(t_tool_is(T_BO_RUN "--out bo2 --units units --opts random,tt-s --report", 0,
                      "against it"));
    T_CHECK(t_tool_is(T_BO_RUN "--out bo2 --units units --opts random,tt-s(k=4)", 0,
                      "tt-s(k=4)"));
    T_CHECK(t_bo_lines(t_bo_text("bo2/results.jsonl", again)) == 12);
    T_CHECK(t_bo_text("bo2/convergence-zoo-vqvae-width-0.125.svg", now)[0] == '<');
}

/* Shards do all runs once, each in a file of its own, and together give the table. */
static void t_bo_shards(void)
{
    static char one[65536], two[65536];
    t_bo_units();
    T_CHECK(t_tool_is(T_BO_RUN "--out bo3 --units units --opts random,tt-s,tt --shard 1/2",
                      0, NULL));
    T_CHECK(t_tool_is(T_BO_RUN "--out bo3 --units units --opts random,tt-s,tt --shard 2/2",
                      0, NULL));
    const int n = t_bo_lines(t_bo_text("bo3/results.1-of-2.jsonl", one)) +
                  t_bo_lines(t_bo_text("bo3/results.2-of-2.jsonl", two));
    T_CHECK(n == 12);
    T_CHECK(t_tool_is(T_BO_RUN "--out bo3 --units units --opts random,tt-s,tt --report", 0,
                      "against it"));
    T_CHECK(t_tool_is(T_BO_RUN "--out bo4 --units units --opts random,tt-s,tt", 0, NULL));
    T_CHECK(t_same("bo3", "bo4", "queries.tsv"));
}

/* Units by a rule: of each network, none twice, the last a class, the same each time. */
static void t_bo_drawn(void)
{
    static char text[65536], again[65536];
#define T_BO_DRAW                                                                          \
    "bench opt --net " T_NET " --per-net 4 --opts random --budgets 2 --seeds 1 " T_BO_NETS
    T_CHECK(t_tool_is(T_BO_DRAW "--out bo6", 0, "2 queries"));
    T_CHECK(t_tool_is(T_BO_DRAW "--out bo7", 0, "2 queries"));
    t_bo_text("bo6/units.txt", text);
    T_CHECK(t_bo_lines(text) == 4 && strstr(text, " class:"));
    T_CHECK(!strcmp(t_bo_text("bo7/units.txt", again), text));
}

/* Under noise a table holds what the reported code gives without, as `mango mei` says. */
static void t_bo_noise(void)
{
    mgi_json j, one;
    double sum = 0;
    t_bo_write("unit", T_NET " spiking1:3\n");
    t_ran r = t_tool_run("bench opt --budgets 40 --seeds 2 --noise poisson:9 " T_BO_NETS
                         "--out bo8 --units unit --opts random --json");
    T_CHECK(r.rc == 0);
    if (!T_CHECK(t_json(&r, &j)))
        return;
    for (int s = 0; s < 2; s++) {
        char command[512];
        snprintf(command, sizeof command,
                 "mei " T_BO_NETS "--net " T_NET
                 " --target spiking1:3 --opt random --seed %d "
                 "--budget 40 --noise poisson:9 --out bo9-%d --json",
                 s, s);
        t_ran m = t_tool_run(command);
        if (T_CHECK(m.rc == 0) && T_CHECK(t_json(&m, &one))) {
            sum += t_json_number(&one, "true");
            mgi_json_free(&one);
        }
        t_ran_free(&m);
    }
    T_CHECK(sum > 0);
    T_NEAR(t_bo_row(&j, "random", 40, "activation"), sum / 2, 1e-5);
    mgi_json_free(&j);
    t_ran_free(&r);
}

/* Pictures stand beside the optimizers, once for all seeds. */
static void t_bo_pictures(void)
{
    static char text[65536];
    mgi_json j;
    unsigned char rgb[3 * 32 * 32];
    t_bo_units();
    for (int k = 0; k < 3; k++) {
        char name[64];
        snprintf(name, sizeof name, "album/a/%d.ppm", k);
        T_REQUIRE(t_bo_folder("album") && t_bo_folder("album/a"));
        FILE *f = fopen(t_work(name), "wb");
        T_REQUIRE(f != NULL);
        for (int e = 0; e < (int)sizeof rgb; e++)
            rgb[e] = (unsigned char)(e * (k + 3) * 7);
        fprintf(f, "P6\n32 32\n255\n");
        fwrite(rgb, 1, sizeof rgb, f);
        fclose(f);
    }
    for (int again = 0; again < 2; again++) {
        t_ran r =
            t_tool_run(T_BO_RUN "--out bo10 --units units --opts random --data folder "
                                "--root album --pictures 3 --json");
        T_CHECK(r.rc == 0);
        if (T_CHECK(t_json(&r, &j))) {
            T_NEAR(t_bo_row(&j, "pictures of folder", 10, "units"), 0, 0);
            mgi_json_free(&j);
        }
        t_ran_free(&r);
        T_CHECK(t_bo_lines(t_bo_text("bo10/results.jsonl", text)) == 6);
    }
    t_ran r =
        t_tool_run("bench opt --budgets 3 --seeds 2 " T_BO_NETS "--out bo10 --units "
                   "units --opts random --data folder --root album --pictures 3 --json");
    if (T_CHECK(t_json(&r, &j))) {
        T_NEAR(t_bo_row(&j, "pictures of folder", 3, "units"), 2, 0);
        T_CHECK(t_bo_row(&j, "pictures of folder", 3, "activation") >= 0);
        mgi_json_free(&j);
    }
    t_ran_free(&r);
}

/* ^C ends it with 130; what was done is there, whole. */
static void t_bo_interrupted(void)
{
    static char text[65536];
    const struct timespec wait = {0, 20000000};
    t_bo_units();
    long pid = t_tool_start("bench opt --budgets 100 --seeds 100 " T_BO_NETS
                            "--out bo13 --units units --opts tt-s");
    T_REQUIRE(pid > 0);
    for (int i = 0; i < 1500 && !t_bo_lines(t_bo_text("bo13/results.jsonl", text)); i++)
        nanosleep(&wait, NULL);
    t_tool_signal(pid, SIGINT);
    t_ran r = t_tool_end(pid);
    T_CHECK(r.rc == 130 && strstr(r.err, "the same command goes on"));
    t_ran_free(&r);
    t_bo_text("bo13/results.jsonl", text);
    const size_t n = strlen(text);
    T_CHECK(t_bo_lines(text) >= 1 && t_bo_lines(text) < 200 && text[n - 1] == '\n');
}

/* The test units are what the rule draws, but for the first. */
static void t_bo_rule(void)
{
    static char rule[65536], list[65536];
    T_SLOW();
#define T_BO_RULE                                                                          \
    "bench opt --opts random --budgets 1 --seeds 1 --T 20 --gen vqvae_cifar10,"            \
    "sngan_cifar10 --quiet "
    T_CHECK(t_tool_is(T_BO_RULE "--out bo11 --units test --report", 0, "1 queries"));
    T_CHECK(t_tool_is(T_BO_RULE "--out bo12 --report --per-net 8 --net spiking_resnet18_"
                                "cifar10,snn_conv_cifar10,resnet18_cifar10",
                      0, "1 queries"));
    t_bo_text("bo11/units.txt", list);
    t_bo_text("bo12/units.txt", rule);
    T_CHECK(t_bo_lines(list) == 24 && t_bo_lines(rule) == 24);
    T_CHECK(!strncmp(list, "spiking_resnet18_cifar10 sn1:16\n", 32));
    T_CHECK(!strcmp(strchr(list, '\n'), strchr(rule, '\n')));
}

static void t_bo_refused(void)
{
    t_bo_units();
    t_bo_write("bad", T_NET " spiking1:3 more\n");
    t_bo_write("twice", T_NET " spiking1:3\n" T_NET " spiking1:3\n");
    T_CHECK(t_tool_refuses("bench opt", 2, "--out"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --net x", 2, "exclude"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --opts tt-x", 3, "tt-s"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --opts tt(k=0)", 3, "k"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --opts tt,tt", 3, "twice"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units bad", 3, "line 1"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units twice", 3, "twice"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --budgets 1.5", 2, "whole"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --shard 3/2", 2, "I/N"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --noise poisson:3", 2, "race"));
    T_CHECK(t_tool_refuses("bench opt --budgets 9 --noise loud:3 --units units --out no", 3,
                           "loud"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --data cifar10", 2, "--root"));
    T_CHECK(t_tool_refuses(T_BO_RUN "--out no --units units --reference cma", 3, "--opts"));
}

void t_tool_bench_opt(void)
{
    if (!t_tool_works()) {
        t_tool_absent();
        return;
    }
    T_CASE(t_bo_values);
    T_CASE(t_bo_resume);
    T_CASE(t_bo_shards);
    T_CASE(t_bo_drawn);
    T_CASE(t_bo_noise);
    T_CASE(t_bo_pictures);
    T_CASE(t_bo_interrupted);
    T_CASE(t_bo_rule);
    T_CASE(t_bo_refused);
}
