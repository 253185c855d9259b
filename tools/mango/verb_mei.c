/* verb_mei.c - `mango mei`: the picture that excites a neuron most.
 * SPDX-License-Identifier: MIT */
#include "mei_explain.h"
#include "mei_files.h"
#include <math.h>
#include <stdlib.h>

static const cli_doc mei_doc = {
    "mei", "find the picture that excites a neuron most",
    "mango mei --gen G --net N --target L:U [options]",
    "TARGET is layer:unit (a channel, mean over space and time), layer:unit:y:x (one "
    "neuron),\n"
    "class:k (softmax probability), or an expression of such:\n"
    "  'a:3 - 0.5*a:5'       + - * / ( ) and numbers\n"
    "  'a:3[5..15]'          steps 5 to 15 alone, counted from 0; also rate(a:3,5,15)\n"
    "  'a@v.npy'             a population vector: sum of v times the layer's channels (v of C\n"
    "                        numbers) or neurons (C,H,W)\n"
    "  'latency(a:3)'        1 - L/T, L the steps before the first spike, T without one\n"
    "  'membrane(a:3)'       mean membrane; also membrane(a:3[5..15])\n"
    "  'logit:7'             the output itself, without softmax\n"
    "  'mean(a)', 'max(a)'   of all channels of a layer; mean, max, min of several: "
    "max(a:1,a:2)\n"
    "A layer's name with anything but letters, digits, _ and . in it stands in quotes in an\n"
    "expression. The activation of a spiking layer is spikes per step, 0 to 1.\n"
    "A query is one picture shown; a code that comes again is answered from a cache and "
    "costs\n"
    "none. The network sees the picture in 8 bits, so best.png holds exactly what it saw.\n"
    "Leaves in DIR: report.html, best.png, best.npy, codes.npy, elites.npy, elites.tsv,\n"
    "scores.tsv, progress.gif, curve.svg, run.json, and journal.jsonl, which --resume goes on\n"
    "from, after ^C or kill -9.\n"
    "One process at a time writes a journal: a second one is refused.\n"
    "It ends with exit code 0 at its budget, at --stop-at, --stagnate or --time: `state` in\n"
    "run.json says which; with 130 after ^C. --resume goes on from any of them.\n"
    "A query that --early-stop cuts is told to the optimizer, and noted in the journal, as\n"
    "missing (null): it learns from the elite alone, which is the same for R = 1. Such a\n"
    "code costs a query again when it comes again.\n"
    "With --noise a query is a presentation, and every code that comes again is shown again.\n"
    "The last 15% of the budget are a race: the 20 codes of the highest posterior means are\n"
    "shown again, the better half of them again, and so on. What is reported is the mean of a\n"
    "code's presentations but the first, by which it was chosen, with its standard error and\n"
    "an interval of 95%. `true` in --json is the code's value without noise.\n"
    "Real pictures to start with: mango encode --gen G --images X --out C.npy, then --start.\n",
    "  mango mei --gen sngan_cifar10 --net snn_conv_cifar10 --target spiking1:3 --budget 1000 "
    "--T 20 --out mei-3\n"
    "  mango mei --gen sngan_cifar10 --net snn_conv_cifar10 --target spiking1:3 --budget 5000 "
    "--T 20 --out mei-3 --resume\n"
    "  mango mei --gen sngan_cifar10 --net spiking_resnet18_cifar10 --target layer4.1.sn2:17 "
    "--opt tt --out mei-17\n"
    "  mango mei --gen vae --net snn --target 'spiking1:3 - spiking1:5' --out mei-3-5\n"};

typedef struct mei_job {
    const char *gen_name, *net_name, *fill, *target, *opt, *opt_set, *out, *noise, *start,
        *fix, *allow;
    int64_t budget, T, batch, k, k_top, k_gd, rank, memory, leaders, elites, apart,
        stagnate;
    double lr, stop_at, early, race, seconds;
    mei_masks masks;
    int resume, minimize, half, int8;
    mango_net *gen, *net;
    mango_search *search;
    mango_objective_options oo;
    mango_session_options so;
    mei_codes codes; /* to begin with */
    mei_run run;
    mei_explain explain;
    char out_dir[512], journal[4096];
    double since, eval_seconds;
    int64_t steps; /* to be explained */
    cli *c;
} mei_job;

/* The objective, timed. */
static mango_status mei_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mei_job *j = ud;
    mei_explain_ask(&j->explain, j->run.session);
    double t0 = cli_now();
    mango_status st = mango_objective_eval(mango_search_objective(j->search), K, I, y);
    j->eval_seconds += cli_now() - t0;
    return st;
}

static int mei_observe(void *ud, const mango_session *s)
{
    mei_job *j = ud;
    mango_session_info si;
    char text[96];
    mango_session_get(s, &si);
    double fresh = (double)(si.queries - si.replayed);
    snprintf(text, sizeof text, "queries  best %.5g  %.0f/s", si.best,
             fresh / MGI_MAX(cli_now() - j->since, 1e-9));
    mei_explain_tell(&j->explain, s);
    cli_progress(j->c, j->since, (double)si.replayed, (double)si.queries, (double)si.budget,
                 text);
    return cli_interrupted();
}

static mango_status mei_open(mei_job *j, mango_err *err)
{
    const int blank_gen = cli_is_blank(j->gen_name), blank_net = cli_is_blank(j->net_name);
    if (j->fill && !blank_gen && !blank_net)
        return mgi_fail(err, MANGO_E_ARG,
                        "--fill goes with zoo:NAME or a graph's text only");
    MGI_TRY(cli_net_open(&j->gen, j->gen_name, blank_gen ? j->fill : NULL, err));
    return cli_net_open(&j->net, j->net_name, blank_net ? j->fill : NULL, err);
}

/* Options of the objective from the command line. */
static mango_status mei_looking(mei_job *j)
{
    mango_objective_options *oo = &j->oo;
    MGI_TRY(mango_objective_defaults(oo));
    oo->T = (mango_idx)j->T;
    oo->batch = (mango_idx)j->batch;
    oo->memory = MGI_LIMIT((uint64_t)j->memory << 20);
    oo->half = j->half;
    oo->int8 = j->int8;
    if (j->early > 0) {
        oo->elite = MANGO_ELITE_AUTO;
        oo->believed = j->early;
    }
    return MANGO_OK;
}

/* Optimizer options from the preset and the command line. */
static mango_status mei_options(mei_job *j, mango_err *err)
{
    mango_session_options *so = &j->so;
    MGI_TRY(mango_session_defaults(j->opt, so, err));
    const struct { const char *name; double value; } set[] = {
        {"k", (double)j->k}, {"k_top", (double)j->k_top}, {"k_gd", (double)j->k_gd},
        {"lr", j->lr}, {"r", (double)j->rank}, {"minimize", j->minimize}};
    for (mango_idx i = 0; i < MGI_COUNT(set); i++)
        if (set[i].value > 0)
            MGI_TRY(mango_opt_set(&so->o, set[i].name, set[i].value, err));
    if (j->opt_set)
        MGI_TRY(mango_opt_parse(&so->o, j->opt_set, err));
    so->seed = (uint64_t)j->c->seed;
    so->budget = j->budget;
    so->stop_at = j->stop_at;
    so->observe = mei_observe;
    so->observe_ud = j;
    so->resume = j->resume;
    so->noise = j->noise;
    so->race = j->race;
    so->race_leaders = j->leaders;
    so->stagnate = j->stagnate;
    so->seconds = j->seconds;
    so->sync = 2; /* the networks would give the same values again */
    return MANGO_OK;
}

static void mei_default_out(mei_job *j)
{
    snprintf(j->out_dir, sizeof j->out_dir, "mei-%s-%s-%lld", j->target, j->opt,
             (long long)j->c->seed);
    for (char *p = j->out_dir; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                    *p))
            *p = '-';
    j->out = j->out_dir;
}

/* Make the folder, the search with its journal, and a first run.json. */
static mango_status mei_start(mei_job *j, mango_err *err)
{
    MGI_TRY(cli_mkdir(j->out, err));
    if (j->resume)
        mei_last_state(j->out, j->run.before, (mango_idx)sizeof j->run.before);
    MGI_TRY(mango_search_create(&j->search, j->gen, j->net, j->target, &j->oo, &j->so, NULL,
                                err));
    MGI_TRY(mango_search_values(j->search, mei_evaluate, j));
    j->run.session = mango_search_session(j->search);
    MGI_TRY(mango_objective_get(mango_search_objective(j->search), &j->run.info));
    return mei_save_run(&j->run, err);
}

/* Open and check everything; whatever is refused leaves no trace. */
static mango_status mei_begin(mei_job *j, mango_err *err)
{
    MGI_TRY(mei_options(j, err));
    MGI_TRY(mei_looking(j));
    MGI_TRY(mei_open(j, err));
    if (j->start)
        MGI_TRY(mei_codes_read(&j->codes, j->start, j->gen, err));
    if (j->fix || j->allow) {
        MGI_TRY(mei_masks_read(&j->masks, j->fix, j->allow, j->gen, err));
        j->so.facts = &j->masks.facts;
    }
    j->so.start = j->codes.I;
    j->so.n_start = j->codes.n;
    if (!j->out)
        mei_default_out(j);
    MGI_TRY(
        cli_join(j->journal, (mango_idx)sizeof j->journal, j->out, "journal.jsonl", err));
    j->so.journal = j->journal;
    j->run.gen = j->gen_name;
    j->run.net = j->net_name;
    j->run.target = j->target;
    j->run.opt = j->opt;
    j->run.out = j->out;
    j->run.noise = j->noise;
    j->run.truth = NAN;
    j->run.elites = j->elites;
    j->run.apart = j->apart;
    j->run.narrow = j->half || j->int8;
    j->run.as_is = NAN;
    j->run.options = &j->so.o;
    j->run.seed = j->so.seed;
    j->run.state = "running";
    const mango_idx new_folder = cli_missing(j->out);
    mango_status st = mei_start(j, err);
    if (st >= 0)
        return st;
    mango_search_destroy(j->search);
    j->search = NULL;
    cli_rmdir(j->out, new_folder); /* with a journal in it, it stays */
    return st == MANGO_E_STATE ? MANGO_E_ARG : st; /* refused input, not a failure of ours */
}

/* The value of a picture for the network in its file, which must be the one that was
 * searched. */
static mango_status mei_look_again(mei_job *j, const float *rgb, mango_err *err)
{
    mango_objective_options oo;
    mango_objective_info now;
    mango_objective *o = NULL;
    MGI_TRY(mango_objective_defaults(&oo));
    oo.T = j->oo.T;
    oo.batch = 1;
    oo.memory = j->oo.memory;
    MGI_TRY(cli_net_open(&j->net, j->net_name,
                         cli_is_blank(j->net_name) ? j->fill : NULL, err));
    mango_status st = mango_objective_create(&o, NULL, j->net, j->target, &oo, NULL, err);
    if (st >= 0)
        st = mango_objective_get(o, &now);
    if (st >= 0 && strcmp(now.net, j->run.info.net))
        st = mgi_fail(err, MANGO_E_STATE,
                      "%.100s: was replaced by another network while the search ran; what "
                      "the best picture gives with the weights as they are is not known",
                      j->net_name);
    if (st >= 0)
        st = mango_objective_look(o, 1, rgb, &j->run.as_is);
    mango_objective_destroy(o);
    return st;
}

/* With weights in fewer bits: what the best picture gives with the weights as they are. The
 * network is read again, since they were given away, when the search needs its own no more. */
static mango_status mei_as_is(mei_job *j, mango_err *err)
{
    const mango_objective_info *f = &j->run.info;
    float *rgb = calloc((size_t)(f->C * f->H * f->W), sizeof *rgb);
    if (!rgb)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a picture");
    const int found = mango_search_best(j->search, NULL, NULL, rgb) >= 0;
    mango_search_rest(j->search);
    mango_net_destroy(j->net);
    j->net = NULL;
    const mango_status st = found ? mei_look_again(j, rgb, err) : MANGO_OK;
    free(rgb);
    return st;
}

/* How it ended, in a word or two. */
static const char *mei_state(mango_status st)
{
    switch (st) {
    case MANGO_STOP_USER: return "interrupted";
    case MANGO_STOP_TARGET: return "target reached";
    case MANGO_STOP_SPACE: return "nothing new";
    case MANGO_STOP_STAGNATION: return "stagnation";
    case MANGO_STOP_TIME: return "time is up";
    default: return "done";
    }
}

/* What the best code gives without noise: one evaluation beyond the budget. */
static mango_status mei_truth(mei_job *j, mango_objective *o, mango_err *err)
{
    mango_session_info si;
    mango_session_get(j->run.session, &si);
    mango_idx *I = calloc((size_t)si.d, sizeof *I);
    mango_status st = I ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "no memory for a code");
    if (st >= 0 && mango_session_best(j->run.session, NULL, I) >= 0)
        st = mango_objective_eval(o, 1, I, &j->run.truth);
    free(I);
    return st;
}

static mango_status mei_search(mei_job *j, mango_err *err)
{
    mango_status st = mei_begin(j, err);
    if (st < 0)
        return st;
    (void)cli_steps(j->c, j->net, j->T);
    j->since = cli_now();
    st = mango_search_run(j->search);
    cli_progress_end(j->c);
    if (st < 0) {
        j->run.state = "failed";
        (void)mei_save_run(&j->run, NULL); /* a full disk may have no room for it either */
        return mgi_fail(err, st, "%s", mango_search_error(j->search));
    }
    j->run.seconds = cli_now() - j->since;
    j->run.eval_seconds = j->eval_seconds;
    j->run.opt_seconds = j->run.seconds - j->eval_seconds;
    j->run.state = mei_state(st);
    mango_objective *o = mango_search_objective(j->search);
    mango_objective_get(o, &j->run.info); /* how many were stopped early */
    if (j->noise)
        MGI_TRY(mei_truth(j, o, err));
    j->run.info.space = NULL; /* it goes with the objective */
    MGI_TRY(mei_save_all(&j->run, o, err));
    const mango_status as_is = j->run.narrow ? mei_as_is(j, err) : MANGO_OK;
    MGI_TRY(mei_save_run(&j->run, as_is < 0 ? NULL : err));
    return as_is < 0 ? as_is : st;
}

static void mei_tell_noise(mei_job *j, cli *c)
{
    mango_estimate e;
    if (mango_session_found(j->run.session, &e) < 0)
        return;
    if (!mgi_is_finite(e.se))
        cli_print(c, "the best was shown %td times: too few to say how sure it is\n", e.n);
    else
        cli_print(c,
              "the best was shown %td times: mean %.6g, standard error %.3g, 95%% from %.6g "
              "to %.6g\n",
              e.n, e.again, e.se, e.lo, e.hi);
    cli_print(c, "without noise it gives %.6g (evaluated beyond the budget)\n", j->run.truth);
}

static void mei_tell(mei_job *j, cli *c)
{
    mango_session_info si;
    mgi_str s;
    mango_session_get(mango_search_session(j->search), &si);
    mgi_str_init(&s, NULL);
    mei_json(&j->run, &s);
    mgi_str_puts(&s, "}");
    cli_print(c,
              "%s  best %.6g  after %td queries (%td more from the cache)  %.2f s, "
              "optimizer %.2f s\nreport: %s/report.html\n",
              j->target, si.best, si.queries, si.cached, j->run.seconds, j->run.opt_seconds,
              j->out);
    if (j->noise)
        mei_tell_noise(j, c);
    if (mgi_is_finite(j->run.as_is))
        cli_print(c, "with the weights as they are the best picture gives %.6g\n",
                  j->run.as_is);
    if (j->early > 0)
        cli_print(c, "stopped early: %td queries; %.1f%% of the network's steps saved\n",
                  j->run.info.stopped,
                  100.0 - 100.0 * j->run.info.steps / MGI_MAX(j->run.info.steps_all, 1.0));
    if (j->run.before[0])
        cli_print(c, "resumed after query %td; the process before: %s\n", si.replayed,
                  j->run.before);
    if (j->stagnate > 0 && !strcmp(j->run.state, "stagnation"))
        cli_note(c, "stopped: %lld queries without an improvement; --resume goes on",
                 (long long)j->stagnate);
    if (j->seconds > 0 && !strcmp(j->run.state, "time is up"))
        cli_note(c, "stopped: %g seconds are up; --resume goes on", j->seconds);
    if (!strcmp(j->run.state, "interrupted"))
        cli_note(c,
                 "interrupted, everything saved; the same command with --resume goes on");
    cli_json(c, &s);
    mgi_str_free(&s);
}

/* The command as a shell takes it: quotes where they are needed. */
static void mei_command(mei_run *r, int argc, char **argv)
{
    char *to = r->command, *end = to + sizeof r->command - 8;
    to += sprintf(to, "mango");
    for (int i = 0; i < argc; i++) {
        const char *z = argv[i];
        int plain =
            *z &&
            !z[strspn(
                z,
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:=/_+-")];
        *to++ = ' ';
        to += plain ? 0 : sprintf(to, "'");
        for (; *z && to < end; z++)
            to += *z == '\'' ? sprintf(to, "'\\''") : sprintf(to, "%c", *z);
        to += plain ? 0 : sprintf(to, "'");
        if (to >= end)
            break;
    }
    *to = 0;
}

/* "tt, tt-s, tt-b (default), ...": what --opt takes. */
static void mei_optimizers(const char *usual, char *text, size_t cap)
{
    mango_opt_preset_info p;
    size_t n = 0;
    text[0] = 0;
    for (mango_idx i = 0; i < mango_opt_presets() && n < cap; i++) {
        mango_opt_preset(i, &p);
        n += (size_t)snprintf(text + n, cap - n, "%s%s%s", i ? ", " : "", p.name,
                              strcmp(p.name, usual) ? "" : " (default)");
    }
}

static void mei_end(mei_job *j)
{
    mei_explain_end(&j->explain);
    mango_search_destroy(j->search);
    mei_codes_free(&j->codes);
    mei_masks_free(&j->masks);
    mango_net_destroy(j->net);
    mango_net_destroy(j->gen);
}

/* Options: what is searched, and by what. */
static int mei_opts_search(mei_job *j, const char *optimizers, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--gen", CLI_STR, &j->gen_name, 0, 0, "G",
         "generator: weights file, name, zoo:NAME,k=v, or a graph's text", 1},
        {"--net", CLI_STR, &j->net_name, 0, 0, "N", "network, likewise", 1},
        {"--target", CLI_STR, &j->target, 0, 0, "L:U",
         "layer:unit, layer:unit:y:x, class:k or an expression", 1},
        {"--opt", CLI_STR, &j->opt, 0, 0, "NAME", optimizers, 0},
        {"--opt-set", CLI_STR, &j->opt_set, 0, 0, "NAME=VALUE,..",
         "any options of the optimizer, see mango info --presets", 0},
        {"--budget", CLI_INT, &j->budget, 1, 1e9, "M",
         "queries (default 1000); --resume may raise it", 0},
        {"--T", CLI_INT, &j->T, 1, 4096, "N", "steps (default: the network's)", 0},
        {"--out", CLI_STR, &j->out, 0, 0, "DIR", "folder (default mei-TARGET-OPT-SEED)", 0},
        {"--resume", CLI_FLAG, &j->resume, 0, 0, NULL, "go on from DIR/journal.jsonl", 0},
        {"--k", CLI_INT, &j->k, 1, 4096, "K", "codes a batch (default: the preset's)", 0},
        {"--k-top", CLI_INT, &j->k_top, 1, 4096, "K", "elite of each batch", 0},
        {"--k-gd", CLI_INT, &j->k_gd, 1, 1000, "N", "gradient steps a batch", 0},
        {"--lr", CLI_REAL, &j->lr, 1e-6, 10, "X", "learning rate", 0},
        {"--rank", CLI_INT, &j->rank, 1, 256, "R", "rank of the tensor train", 0},
        {"--minimize", CLI_FLAG, &j->minimize, 0, 0, NULL,
         "look for the least exciting picture", 0},
    };
    memcpy(to, opt, sizeof opt);
    return (int)MGI_COUNT(opt);
}

/* Noise, starts, constraints, elites, ends. */
static int mei_opts_session(mei_job *j, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--stop-at", CLI_REAL, &j->stop_at, -1e30, 1e30, "Y",
         "stop when the best reaches Y", 0},
        {"--stagnate", CLI_INT, &j->stagnate, 1, 1e9, "N",
         "stop after N queries without an improvement", 0},
        {"--time", CLI_REAL, &j->seconds, 1, 1e9, "S", "stop after S seconds", 0},
        {"--noise", CLI_STR, &j->noise, 0, 0, "MODEL:X",
         "noise on each presentation: poisson:RATE (spikes at activation 1), normal:S, "
         "mult:S, drop:P, drift:D, several joined by +; a code that comes again is shown "
         "again",
         0},
        {"--race", CLI_REAL, &j->race, 0, 0.99, "SHARE",
         "share of the budget for a final race of the leaders (default with noise 0.15)", 0},
        {"--race-leaders", CLI_INT, &j->leaders, 1, 1000, "N",
         "codes in that race (default 20)", 0},
        {"--start", CLI_STR, &j->start, 0, 0, "CODES",
         "codes shown first: a .npy, as of mango encode, or another search's folder: its "
         "elites", 0},
        {"--fix", CLI_STR, &j->fix, 0, 0, "J=L,..", "mode J has level L in every code", 0},
        {"--allow", CLI_STR, &j->allow, 0, 0, "FILE",
         "levels that codes may have: a .npy of 0 and 1, (modes,levels), or (levels) for all "
         "modes", 0},
        {"--elites", CLI_INT, &j->elites, 1, 100000, "N",
         "codes in elites.npy at most (default 20)", 0},
        {"--apart", CLI_INT, &j->apart, 1, 1 << 20, "D",
         "modes in which elites differ at least (default: an eighth)", 0},
    };
    memcpy(to, opt, sizeof opt);
    return (int)MGI_COUNT(opt);
}

/* How it runs. */
static int mei_opts_run(mei_job *j, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--batch", CLI_INT, &j->batch, 1, 4096, "B",
         "pictures evaluated at once (default 10; with --early-stop the codes of a batch)", 0},
        {"--early-stop", CLI_REAL, &j->early, 1e-3, 1, "R",
         "stop queries that cannot be of the elite when the rest of a query makes at most "
         "R spikes per step; 1 is certain and finds the same pictures (default: off)",
         0},
        {"--explain", CLI_INT, &j->steps, 1, 1000000, "N",
         "print the optimizer's first N steps: what it has learnt, each proposal and why, the "
         "elite; lines as wide as COLUMNS, else 80; not with --json",
         0},
        {"--memory", CLI_INT, &j->memory, 1, 1 << 20, "MIB",
         "cap for each network's memory (default 1024)", 0},
        {"--half-weights", CLI_FLAG, &j->half, 0, 0, NULL,
         "weights rounded to half precision in memory", 0},
        {"--int8-weights", CLI_FLAG, &j->int8, 0, 0, NULL,
         "weights of spikes in 8 bits: other results, see README", 0},
        {"--fill", CLI_STR, &j->fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
    };
    memcpy(to, opt, sizeof opt);
    return (int)MGI_COUNT(opt);
}

int verb_mei(int argc, char **argv)
{
    cli c;
    mango_err err = {""};
    mei_job j;
    memset(&j, 0, sizeof j);
    j.c = &c;
    j.budget = 1000;
    j.opt = "auto";
    j.stop_at = NAN;
    j.race = -1;
    j.elites = 20;
    char optimizers[512];
    mei_optimizers(j.opt, optimizers, sizeof optimizers);
    cli_opt opt[64];
    int n = mei_opts_search(&j, optimizers, opt);
    n += mei_opts_session(&j, opt + n);
    n += mei_opts_run(&j, opt + n);
    int rc = cli_parse(&c, &mei_doc, opt, n, 0, argc, argv);
    if (rc >= 0)
        return rc;
    if (j.steps > 0 && c.json)
        return cli_usage(&c, "--explain and --json exclude each other");
    mei_explain_begin(&j.explain, &c, j.steps);
    mei_command(&j.run, argc, argv);
    cli_catch_signals();
    mango_status st = mei_search(&j, &err);
    if (st >= 0)
        mei_tell(&j, &c);
    rc = st < 0 ? cli_fail(&c, st, &err) : st == MANGO_STOP_USER ? CLI_INTERRUPTED : CLI_OK;
    mei_end(&j);
    return rc;
}
