/* test_tool_mei.c - `mango mei` from outside: its files, killed and resumed, the same
 * bits for any threads and kernels, full disks.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <signal.h>
#include <time.h>

static const char *const t_mei_files[] = {"codes.npy",    "scores.tsv", "best.png",
                                          "best.npy",     "curve.svg",  "progress.gif",
                                          "journal.jsonl"};

static void t_mei_same(const char *a, const char *b, int files)
{
    for (int i = 0; i < files; i++)
        t_same(a, b, t_mei_files[i]);
}

/* The activation that `run` reports for a file, of unit 3. */
static double t_mei_look(const char *net, const char *fill, const char *input, int T)
{
    char command[400];
    mgi_tensors f;
    float y[256];
    double v = (double)NAN;
    snprintf(command, sizeof command,
             "run --net %s %s --input %s --T %d --record spiking1 --out look.safetensors",
             net, fill, input, T);
    if (!t_tool_is(command, 0, "look") ||
        mgi_tensors_read(&f, t_work("look.safetensors"), NULL, NULL) < 0)
        return v;
    const mgi_tensor *t = mgi_tensors_find(&f, "spiking1.rate");
    if (t && t->rank == 2 && t->count <= 256 && mgi_tensor_floats(t, 1, y, NULL) >= 0)
        v = (double)y[3];
    mgi_tensors_free(&f);
    return v;
}

static void t_mei_result(void)
{
    mgi_json j;
    t_ran r = t_tool_run(T_MEI " --budget 200 --out one --json --quiet");
    T_REQUIRE(t_json(&r, &j));
    const double best = t_json_number(&j, "best");
    T_EQ(t_json_number(&j, "queries"), 200);
    T_CHECK(t_json_number(&j, "cached") >= 0 && t_json_number(&j, "seconds") >= 0 &&
            t_json_number(&j, "opt_seconds") >= 0 &&
            t_json_number(&j, "eval_seconds") >= 0);
    const mgi_json_value *code = mgi_json_get(&j, j.v, "code"),
                         *image = mgi_json_get(&j, j.v, "image");
    T_CHECK(code && code->kind == MGI_JSON_ARRAY && code->n == 64);
    T_CHECK(image && image->kind == MGI_JSON_STRING);
    T_STR(r.err, "");
    mgi_json_free(&j);
    t_ran_free(&r);
    const char *const more[] = {"report.html", "run.json"};
    for (mango_idx i = 0; i < MGI_COUNT(more); i++) {
        char path[64];
        snprintf(path, sizeof path, "one/%s", more[i]);
        T_CHECK(t_exists(t_work(path)));
    }
    T_CHECK(best == t_mei_look(T_NET, "--fill 7,1", "one/best.npy", 6));
    if (t_exists(t_work("one/best.png")))
        T_CHECK(best == t_mei_look(T_NET, "--fill 7,1", "one/best.png", 6));
    t_tool_refuses(T_MEI " --out one", 3, "exists");
    t_tool_refuses(T_MEI " --out one --resume --seed 5", 3, "seed");
    t_tool_refuses(T_MEI " --out one --resume --T 7", 3, "'T'");
    t_tool_refuses(T_MEI " --out one --resume --target spiking1:4", 3, "target");
    t_tool_refuses(T_MEI " --out one --resume --fill 8,1", 3, "another");
}

static void t_mei_bits(void)
{
    static const char *const how[] = {"--threads 1", "--batch 7 --threads 3"};
    static const char *const set[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    char command[300];
    t_tool_is(T_MEI " --budget 50 --out bits", 0, "report");
    for (mango_idx i = 0; i < MGI_COUNT(how); i++) {
        snprintf(command, sizeof command, T_MEI " --budget 50 %s --out bits%d", how[i],
                 (int)i);
        t_tool_is(command, 0, "report");
        snprintf(command, sizeof command, "bits%d", (int)i);
        t_mei_same("bits", command, 7);
    }
    for (mango_idx i = 0; i < MGI_COUNT(set); i++) {
        snprintf(command, sizeof command,
                 "MANGO_SIMD=%s " T_MEI " --budget 50 --out simd%d", set[i], (int)i);
        t_tool_is(command, 0, "report");
        snprintf(command, sizeof command, "simd%d", (int)i);
        t_mei_same("bits", command, 7);
    }
}

/* Under noise: what is reported was shown again, has its error, and its true value is that
 * of the picture; resumed, it is the same. */
static void t_tool_mei_noise(void)
{
    mgi_json j;
    t_ran r = t_tool_run(T_MEI " --budget 150 --noise poisson:20 --out noisy --json --quiet");
    T_REQUIRE(t_json(&r, &j));
    const mgi_json_value *at = mgi_json_get(&j, j.v, "interval");
    T_REQUIRE(at && at->kind == MGI_JSON_ARRAY && at->n == 2);
    const double mean = t_json_number(&j, "mean"), lo = j.v[at->child].d;
    T_CHECK(t_json_number(&j, "best") == mean && lo < mean && t_json_number(&j, "se") > 0);
    T_CHECK(t_json_number(&j, "shown") > 3 && t_json_number(&j, "presentations") == 150);
    T_CHECK(t_json_number(&j, "queries") < 150);
    T_CHECK(t_json_number(&j, "true") == t_mei_look(T_NET, "--fill 7,1", "noisy/best.npy", 6));
    mgi_json_free(&j);
    t_ran_free(&r);
    t_tool_is(T_MEI " --budget 70 --noise poisson:20 --out noisier", 0, "shown");
    t_tool_is(T_MEI " --budget 70 --noise poisson:20 --out noisier --resume", 0, "without noise");
    t_tool_refuses(T_MEI " --noise poisson:20 --resume --race 0.3 --out noisy", 3, "'race'");
    t_tool_refuses(T_MEI " --resume --out noisy", 3, "was made with another");
    t_tool_refuses(T_MEI " --noise loud:3 --out no", 3, "poisson, normal");
    t_tool_refuses(T_MEI " --noise drop:0.1 --early-stop 1 --out no", 3, "noise");
}

/* Elites are written, and begin another search. */
static void t_tool_mei_start(void)
{
    t_tool_is(T_MEI " --budget 60 --elites 5 --apart 20 --out first", 0, NULL);
    T_CHECK(t_exists(t_work("first/elites.npy")) && t_exists(t_work("first/elites.tsv")));
    t_tool_is(T_MEI " --budget 20 --start first --opt tt --out second", 0, NULL);
    t_tool_is(T_MEI " --budget 20 --start first/elites.npy --opt tt --out third", 0, NULL);
    t_mei_same("second", "third", 7);
    t_tool_is(T_MEI " --budget 10 --start first/codes.npy --opt tt --out fourth", 0, NULL);
    t_tool_refuses(T_MEI " --start first/best.npy --out no", 3, "codes (n,64)");
    t_tool_refuses(T_MEI " --start nothing --out no", 3, "nothing");
}

/* Fixed modes and masks hold for every code that was shown. */
static void t_tool_mei_fixed(void)
{
    mango_npy a;
    mango_idx I[40 * 64];
    int32_t mask[512] = {0};
    const mango_idx n = 512;
    mask[3] = mask[200] = mask[201] = 1;
    T_STATUS(mango_npy_write(t_work("mask.npy"), MANGO_NPY_I4, 1, &n, mask, NULL), MANGO_OK);
    t_tool_is(T_MEI " --budget 40 --allow mask.npy --fix 0=3,63=201 --out fixed", 0, NULL);
    T_STATUS(mango_npy_read(&a, t_work("fixed/codes.npy"), NULL, NULL), MANGO_OK);
    T_REQUIRE(a.count == 40 * 64);
    T_STATUS(mango_npy_ints(&a, I, NULL), MANGO_OK);
    for (int q = 0; q < 40; q++)
        T_CHECK(I[64 * q] == 3 && I[64 * q + 63] == 201);
    for (int e = 0; e < 40 * 64; e++)
        T_CHECK(I[e] == 3 || I[e] == 200 || I[e] == 201);
    mango_npy_free(&a);
    t_tool_refuses(T_MEI " --fix 64=0 --out no", 3, "modes 0..63");
    t_tool_refuses(T_MEI " --fix 5 --out no", 3, "MODE=LEVEL");
    t_tool_refuses(T_MEI " --fix 0=1,0=2 --out no", 3, "mode 0");
    t_tool_refuses(T_MEI " --allow fixed/best.npy --out no", 3, "expected");
    t_tool_refuses(T_MEI " --resume --fix 0=3 --allow mask.npy --out fixed", 3, "'allowed'");
}

static void t_tool_mei_stops(void)
{
    t_ran r = t_tool_run(T_MEI " --budget 5000 --stagnate 40 --out stagnant");
    T_CHECK(r.rc == 0 && strstr(r.err, "40 queries without an improvement") != NULL);
    t_ran_free(&r);
    t_tool_is(T_MEI " --budget 60 --time 1000 --out timed", 0, "60 queries");
}

/* A larger budget at resume is as one long run; a smaller one changes nothing. */
static void t_tool_mei_extend(void)
{
    t_tool_is(T_MEI " --budget 90 --out long", 0, NULL);
    t_tool_is(T_MEI " --budget 7 --out steps", 0, NULL);
    t_tool_is(T_MEI " --budget 38 --out steps --resume", 0, NULL);
    t_tool_is(T_MEI " --budget 90 --out steps --resume", 0, NULL);
    t_mei_same("long", "steps", 6); /* the journal tells where the batches were cut */
    t_tool_is(T_MEI " --budget 20 --out steps --resume", 0, NULL);
    t_mei_same("long", "steps", 6);
}

static void t_mei_sleep(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Run with --resume and stop by a signal after random times until it ends. */
static void t_mei_stopped(int sig, const char *out, uint64_t seed)
{
    char command[300];
    snprintf(command, sizeof command, T_MEI " --budget 200 --quiet --resume --out %s", out);
    mango_rng rng;
    mango_rng_init(&rng, seed, 1, 1);
    const time_t start = time(NULL);
    for (int done = 0; !done;) {
        const int last = time(NULL) - start > 1; /* a slow machine: let it end */
        const long pid = t_tool_start(command);
        t_mei_sleep((long)(mango_rng_u32(&rng) % 200));
        if (!last)
            t_tool_signal(pid, sig);
        t_ran r = t_tool_end(pid);
        done = r.rc == 0;
        const int stopped = r.rc == -sig || (sig != SIGKILL && r.rc == 130);
        if (!T_CHECK(done || (stopped && !last))) {
            printf("    exit code %d: %s\n", r.rc, r.err);
            done = 1;
        }
        t_ran_free(&r);
    }
    t_mei_same("whole", out, 7);
}

static void t_mei_killed(void)
{
    t_tool_is(T_MEI " --budget 200 --out whole", 0, NULL);
    t_mei_stopped(SIGKILL, "killed", 1);
    t_mei_stopped(SIGINT, "stopped", 3);
    t_mei_stopped(SIGTERM, "ended", 4);
}

/* With early stop the same codes, the same best; killed and resumed the same file. */
#define T_EARLY                                                                        \
    "mei --gen " T_GEN " --net " T_NET " --fill 7,0.7 --target spiking0:1:6:6 --T 12 --opt tt"
static void t_tool_mei_early(void)
{
    mgi_json j;
    const char *const plain = T_EARLY " --budget 60 --out slow";
    t_tool_is(plain, 0, NULL);
    t_ran r = t_tool_run(T_EARLY " --budget 60 --out fast --early-stop 1 --json");
    T_REQUIRE(t_json(&r, &j));
    T_CHECK(t_json_number(&j, "stopped") > 0 && t_json_number(&j, "steps_saved") > 0);
    T_EQ(t_json_number(&j, "stopped"), t_json_number(&j, "missing"));
    mgi_json_free(&j);
    t_ran_free(&r);
    t_same("slow", "fast", "codes.npy");
    t_same("slow", "fast", "best.npy");
    t_tool_is(T_EARLY " --budget 50 --out part --early-stop 1", 0, "stopped early");
    t_tool_is(T_EARLY " --budget 60 --out part --early-stop 1 --resume", 0, NULL);
    t_mei_same("fast", "part", 6);
    t_tool_refuses(T_EARLY " --out fast --resume", 3, "early_stop");
    t_tool_refuses(T_EARLY " --out fast --resume --early-stop 0.5", 3, "early_stop");
    t_tool_refuses("mei --gen " T_GEN " --net " T_NET
                   " --fill 7,1 --target class:3 --early-stop 1 --out early",
                   3, "early stop");
}
#undef T_EARLY

/* Two processes on one journal: the second is refused and changes nothing; a
 * lock of a process that was killed holds nobody up, and the resume says so. */
static void t_tool_mei_locked(void)
{
    const long pid = t_tool_start(T_MEI " --budget 1000000 --quiet --out locked");
    int there = 0;
    for (int i = 0; i < 400 && !there; i++) {
        t_mei_sleep(25);
        there = t_exists(t_work("locked/run.json"));
    }
    T_CHECK(there);
    t_tool_is(T_MEI " --budget 9 --out locked --resume", 3, "another process");
    t_tool_is(T_MEI " --budget 9 --out locked", 3, "another process");
    T_CHECK(t_exists(t_work("locked/journal.jsonl")));
    t_tool_signal(pid, SIGKILL);
    t_ran r = t_tool_end(pid);
    T_EQ(r.rc, -SIGKILL);
    t_ran_free(&r);
    t_tool_is(T_MEI " --budget 1 --out locked --resume", 0, "the process before: killed");
}

/* A disk that is full after so many bytes of the journal, here by a limit on file sizes:
 * a clear error, nothing lost, and --resume goes on. */
static void t_tool_mei_full(void)
{
    if (!t_tool_posix())
        T_SKIP("no limits of file sizes on Windows");
    char command[300];
    t_tool_is(T_MEI " --budget 300 --out whole300", 0, NULL);
    static const long limit[] = {100, 3000, 40000, 60000};
    for (mango_idx i = 0; i < MGI_COUNT(limit); i++) {
        snprintf(command, sizeof command,
                 "LIMIT=%ld " T_MEI " --budget 300 --out full --resume --quiet", limit[i]);
        t_tool_is(command, 1, "full/");
        T_EQ(t_exists(t_work("full")), limit[i] > 1000); /* no trace when it cannot begin */
    }
    t_tool_is(T_MEI " --budget 300 --out full --resume --quiet", 0, NULL);
    t_mei_same("whole300", "full", 7);
    const uint32_t before = t_work_state();
    t_tool_is("LIMIT=100 decode --gen " T_GEN
              " --fill 7,1 --codes full/codes.npy --limit 2 --out full",
              1, "full/");
    t_tool_is("LIMIT=100 run --net " T_NET
              " --fill 7,1 --fill-input 1 --out full/codes.npy",
              1, "codes.npy");
    T_CHECK(before == t_work_state());
}

/* NaN everywhere: no best, no picture, but a run that ends and says so. */
static void t_mei_missing(void)
{
    mgi_json j;
    t_ran r =
        t_tool_run("mei --gen " T_GEN " --net zoo:resnet18,width=0.0625 --fill 7,1e25 "
                   "--target class:0 --budget 12 --out nan --json");
    T_REQUIRE(t_json(&r, &j));
    const mgi_json_value *best = mgi_json_get(&j, j.v, "best");
    T_CHECK(best && (best->kind == MGI_JSON_NULL || best->kind == MGI_JSON_NUMBER));
    T_EQ(t_json_number(&j, "queries"), 12);
    if (best && best->kind == MGI_JSON_NULL)
        T_EQ(t_json_number(&j, "missing"), 12);
    mgi_json_free(&j);
    t_ran_free(&r);
}

/* The public pair, when it is there. */
static void t_mei_shared(void)
{
    char command[1200];
    mgi_json j;
    const char *snn = t_shared("weights/snn_cifar10.pt"),
               *vae = t_shared("weights/vae_vq_cifar10.pt");
    if (!snn || !vae)
        T_SKIP("no shared weights");
    snprintf(command, sizeof command, "import %s --arch snn_conv --out snn.safetensors",
             t_here(snn));
    t_tool_is(command, 0, "8 parameters");
    snprintf(command, sizeof command, "import %s --arch vqvae --out vae.safetensors",
             t_here(vae));
    t_tool_is(command, 0, "23 parameters");
    t_ran r = t_tool_run(
        "mei --gen vae --net snn --target spiking1:3 --opt tt --budget 40 --T 20 "
        "--out real --json");
    T_REQUIRE(t_json(&r, &j));
    const double best = t_json_number(&j, "best");
    mgi_json_free(&j);
    t_ran_free(&r);
    T_CHECK(best > 0 && best == t_mei_look("snn", "", "real/best.npy", 20));
    T_CHECK(best == t_mei_look("snn", "", "real/best.png", 20));
    const char *data = t_shared("data/cifar10");
    if (!data)
        return;
    snprintf(command, sizeof command,
             "eval --net snn --data cifar10 --root %s --limit 40 --T 10 --json",
             t_here(data));
    r = t_tool_run(command);
    T_REQUIRE(t_json(&r, &j));
    T_CHECK(t_json_number(&j, "accuracy") > 0.5);
    mgi_json_free(&j);
    t_ran_free(&r);
}

/* --explain tells so many steps, in lines that fit, and changes nothing. */
static void t_tool_mei_explain(void)
{
    t_ran r = t_tool_run("COLUMNS=60 " T_MEI " --budget 75 --out explained --explain 2 --quiet");
    T_CHECK(r.rc == 0 && strstr(r.out, "--- step 1: tt-b proposes 25"));
    T_CHECK(strstr(r.out, "--- step 2") && !strstr(r.out, "--- step 3"));
    T_CHECK(strstr(r.out, "decided") && strstr(r.out, "drawn from the tensor train"));
    T_CHECK(strstr(r.out, " elite ") && strstr(r.out, "steps of Adam"));
    for (const char *p = r.out; *p && strncmp(p, "spiking1:3", 10);) {
        size_t n = strcspn(p, "\n"), wide = 0;
        for (size_t i = 0; i < n; i++)
            wide += ((unsigned char)p[i] & 0xc0) != 0x80;
        T_CHECK(wide <= 60);
        p += n + (p[n] == '\n');
    }
    t_ran_free(&r);
    T_CHECK(t_tool_is(T_MEI " --budget 75 --out silent --quiet", 0, NULL));
    T_CHECK(t_same("explained", "silent", "journal.jsonl"));
    T_CHECK(t_tool_is(T_MEI " --budget 100 --out explained --resume --explain 1 --quiet", 0,
                      "--- step 1: tt-b proposes 25"));
    T_CHECK(t_tool_refuses(T_MEI " --budget 75 --out no --explain 2 --json", 2, "--json"));
}

void t_tool_mei(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_mei_result);
    T_CASE(t_mei_bits);
    T_CASE(t_tool_mei_extend);
    T_CASE(t_tool_mei_noise);
    T_CASE(t_tool_mei_start);
    T_CASE(t_tool_mei_fixed);
    T_CASE(t_tool_mei_stops);
    T_CASE(t_mei_killed);
    T_CASE(t_tool_mei_early);
    T_CASE(t_tool_mei_locked);
    T_CASE(t_tool_mei_full);
    T_CASE(t_mei_missing);
    T_CASE(t_tool_mei_explain);
    T_CASE(t_mei_shared);
}
