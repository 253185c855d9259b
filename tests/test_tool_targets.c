/* test_tool_targets.c - `mango mei` with expressions, controls, latents, pixels and several
 * pictures: what it saves gives what it says, and halves of a run are the whole.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#define T_TT                                                                                \
    "mei --gen " T_GEN " --net " T_NET " --fill 7,1 --T 6 --opt tt-b --quiet --json "

/* What the search reports in --json, NaN when it failed. */
static double t_tt_best(const char *arguments)
{
    char command[800];
    mgi_json j;
    snprintf(command, sizeof command, T_TT "%s", arguments);
    t_ran r = t_tool_run(command);
    double best = (double)NAN;
    if (T_CHECK(r.rc == 0 && t_json(&r, &j))) {
        best = t_json_number(&j, "best");
        mgi_json_free(&j);
    } else
        fprintf(stderr, "  %s: %s\n", arguments, r.err ? r.err : "");
    t_ran_free(&r);
    return best;
}

/* The target's value of a picture that was saved, through the library. */
static double t_tt_look(const char *file, const char *target)
{
    mango_net *net = NULL;
    mango_objective *f = NULL;
    mango_objective_options o;
    mango_npy a;
    mango_err err = {""};
    double y = (double)NAN;
    mango_objective_defaults(&o);
    o.T = 6;
    if (T_OK(mango_net_zoo(&net, &T_NET[4], NULL, &err), &err) &&
        T_OK(mango_net_fill(net, 7, 1.0), NULL) &&
        T_OK(mango_objective_create(&f, NULL, net, target, &o, NULL, &err), &err) &&
        T_OK(mango_npy_read(&a, t_work(file), NULL, &err), &err)) {
        T_EQ(a.count, 3 * 32 * 32);
        T_OK(mango_objective_look(f, 1, a.data, &y), NULL);
        mango_npy_free(&a);
    }
    mango_objective_destroy(f);
    mango_net_destroy(net);
    return y;
}

static int t_tt_says(const char *file, const char *words)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_idx n = 0;
    if (mgi_file_read(t_work(file), 1 << 22, &al, &p, &n, NULL) < 0)
        return 0;
    const int found = strstr((const char *)p, words) != NULL;
    mgi_del(&al, p, n + 1, 1);
    return found;
}

/* Saved picture, journal, run.json and report agree with what is printed. */
static void t_tt_targets(void)
{
    static const struct { const char *shell, *text; } c[] = {
        {"spiking1:3~-~0.5*spiking1:5", "spiking1:3 - 0.5*spiking1:5"},
        {"latency(spiking1:3)+membrane(spiking1:2)", "latency(spiking1:3)+membrane(spiking1:2)"},
        {"spiking1:3[2..4]", "spiking1:3[2..4]"}};
    for (mango_idx i = 0; i < MGI_COUNT(c); i++) {
        char arguments[300], file[64];
        snprintf(arguments, sizeof arguments, "--target %s --budget 75 --out tt%d", c[i].shell,
                 (int)i);
        const double best = t_tt_best(arguments);
        snprintf(file, sizeof file, "tt%d/best.npy", (int)i);
        T_CHECK(best == t_tt_look(file, c[i].text));
        static const char *const where[] = {"journal.jsonl", "run.json", "report.html"};
        for (int k = 0; k < 3; k++) {
            snprintf(file, sizeof file, "tt%d/%s", (int)i, where[k]);
            T_CHECK(t_tt_says(file, c[i].text));
        }
    }
    t_tool_refuses(T_TT "--target spiking1:3+spikin1:2 --out ttx", 3, "column 12");
    t_tool_refuses(T_TT "--target spiking1:3[2..9] --out ttx", 3, "steps");
    t_tool_refuses(T_TT "--target spiking1:3-spiking1:2 --early-stop 1 --out ttx", 3, "early stop");
}

static void t_tt_controls(void)
{
    static const char how[] = "--target spiking1:3 --grey --luminance 0.45 --contrast 0.1 --mask "
                              "0.9 --surround 0.25 --tv 0.05 ";
    char arguments[300];
    snprintf(arguments, sizeof arguments, "%s--budget 75 --out cc", how);
    const double best = t_tt_best(arguments);
    T_CHECK(best == t_tt_look("cc/best.npy", "spiking1:3"));
    T_CHECK(t_tt_says("cc/run.json", "grey luminance=0.45 contrast=0.1 tv=0.05 mask=0.9 "
                                     "surround=0.25"));
    T_CHECK(t_tt_says("cc/report.html", "luminance=0.45"));
    snprintf(arguments, sizeof arguments, "%s--budget 40 --out ch", how);
    (void)t_tt_best(arguments);
    t_tool_refuses(T_TT "--target spiking1:3 --budget 75 --out ch --resume", 3, "controls");
    snprintf(arguments, sizeof arguments, "%s--budget 75 --out ch --resume", how);
    T_CHECK(best == t_tt_best(arguments));
    t_same("cc", "ch", "best.npy");
    t_same("cc", "ch", "codes.npy");
    t_tool_refuses(T_TT "--target spiking1:3 --size 40 --out cx", 3, "size is 40x40");
    t_tool_refuses(T_TT "--target spiking1:3 --size 4y --out cx", 3, "--size");
    t_tool_refuses(T_TT "--target spiking1:3 --levels 8 --out cx", 3, "codebook");
}

static void t_tt_generators(void)
{
    const double best = t_tt_best("--gen pixels:3x32x32,levels=8 --target spiking1:3-spiking1:2 "
                                  "--budget 50 --out px");
    T_CHECK(best == t_tt_look("px/best.npy", "spiking1:3-spiking1:2"));
    T_CHECK(t_tt_says("px/run.json", "3072 of 8 levels on [0, 1]"));
    /* decoded with the options of the search, its codes are its pictures */
    t_tt_best("--gen zoo:sngan,width=0.0625 --latent-range -1,1 --levels 9 --grey --contrast 0.1 "
              "--target spiking1:3 --budget 20 --out pw");
    T_CHECK(t_tool_is("decode --gen zoo:sngan,width=0.0625 --fill 7,1 --codes pw/elites.npy "
                      "--limit 1 --latent-range -1,1 --levels 9 --grey --contrast 0.1 --out pd",
                      0, "1 pictures"));
    t_same_file("pd/000000.png", "pw/best.png");
    const double wide = t_tt_best("--gen pixels:1x8x8 --levels 4 --target spiking1:3 --budget 50 "
                                  "--size 24 --out py");
    T_CHECK(wide == t_tt_look("py/best.npy", "spiking1:3"));
    T_CHECK(t_tt_says("py/run.json", "1x8x8 made 3x32x32"));
    T_CHECK(t_tt_says("py/run.json", "64 of 4 levels"));
    t_tool_refuses(T_TT "--gen pixels:3x32 --target spiking1:3 --out pz", 3, "pixels:CxHxW");
}

static void t_tt_several(void)
{
    static const char how[] = "--target spiking1:3 --several 3 --different 0.13 --budget 50 ";
    char arguments[300], command[800];
    float a[2][3 * 32 * 32];
    double y[3];
    mango_npy n;
    snprintf(command, sizeof command, T_TT "%s--out sv", how);
    T_CHECK(t_tool_is(command, 0, "\"several\":[{\"best\":"));
    for (int i = 0; i < 3; i++) {
        snprintf(arguments, sizeof arguments, "sv/%d/best.npy", i + 1);
        y[i] = t_tt_look(arguments, "spiking1:3");
        T_OK_OR_RETURN(mango_npy_read(&n, t_work(arguments), NULL, NULL), NULL);
        memcpy(a[i % 2], n.data, sizeof a[0]);
        mango_npy_free(&n);
        double sum = 0.0;
        for (mango_idx e = 0; i > 0 && e < 3 * 32 * 32; e++)
            sum += ((double)a[0][e] - (double)a[1][e]) * ((double)a[0][e] - (double)a[1][e]);
        T_CHECK(i == 0 || sqrt(sum / (3 * 32 * 32)) >= 0.13);
        mgi_str line;
        mgi_str_init(&line, NULL);
        mgi_str_printf(&line, "\n%d\t", i + 1);
        mgi_str_float(&line, y[i]);
        T_CHECK(t_tt_says("sv/several.tsv", line.p)); /* it reports what they give */
        mgi_str_free(&line);
    }
    T_CHECK(t_exists(t_work("sv/sheet.png")) || t_exists(t_work("sv/sheet.ppm")));
    T_CHECK(t_exists(t_work("sv/report.html")));
    snprintf(command, sizeof command, T_TT "%s--out sv --resume", how);
    T_CHECK(t_tool_is(command, 0, "\"several\":[{\"best\":"));
    t_tool_refuses(T_TT "--target spiking1:3 --several 2 --noise poisson:9 --out sw", 2,
                   "--several");
    t_tool_refuses(T_TT "--target spiking1:3 --several 2 --different-by eye --out sw", 2,
                   "picture or latent");
}

void t_tool_targets(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tt_targets);
    T_CASE(t_tt_controls);
    T_CASE(t_tt_generators);
    T_CASE(t_tt_several);
}
