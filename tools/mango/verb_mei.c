/* verb_mei.c - `mango mei`: the picture that excites a neuron most.
 * SPDX-License-Identifier: MIT */
#include "mei_job.h"
#include <math.h>

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
    "--grey, --luminance, --contrast, --tv, --mask, --size keep every picture to something\n"
    "before the network sees it, and best.png is what it saw. In this order: grey and size;\n"
    "then luminance and contrast, by one gain and shift for all channels, and the limit of\n"
    "the total variation, by blurring; then mask and surround; then 8 bits.\n"
    "A generator is any graph that takes a vector, or a grid of codes (a vector quantizer, an\n"
    "embedding). Its pictures are resized to what the network takes (bilinear, antialiased);\n"
    "3 channels become 1 by luminance. A weights file may say what its latents are: metadata\n"
    "mango.latent_range, mango.latent_levels, mango.latent_prior; the options go before it.\n"
    "With --several the budget and the number of pictures stay the same at --resume.\n"
    "Real pictures to start with: mango encode --gen G --images X --out C.npy, then --start.\n",
    "  mango mei --gen sngan_cifar10 --net snn_conv_cifar10 --target spiking1:3 --budget 1000 "
    "--T 20 --out mei-3\n"
    "  mango mei --gen sngan_cifar10 --net snn_conv_cifar10 --target spiking1:3 --budget 5000 "
    "--T 20 --out mei-3 --resume\n"
    "  mango mei --gen sngan_cifar10 --net spiking_resnet18_cifar10 --target layer4.1.sn2:17 "
    "--opt tt --out mei-17\n"
    "  mango mei --gen vae --net snn --target 'spiking1:3 - spiking1:5' --out mei-3-5\n"
    "  mango mei --gen vae --net snn --target spiking1:3 --grey --contrast 0.15 --mask 0.9\n"
    "  mango mei --gen gan --net snn --target class:3 --several 4 --out mei-cats\n"
    "  mango mei --gen pixels:3x32x32,levels=8 --net snn --target spiking1:3 --opt ga\n"};

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

/* Options: what is searched, and by what. */
static int mei_opts_search(mei_job *j, const char *optimizers, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--gen", CLI_STR, &j->gen_name, 0, 0, "G",
         "generator: weights file, name, zoo:NAME,k=v, a graph's text, or "
         "pixels:CxHxW,levels=N: its code is the picture", 1},
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
    mei_differ differ = {0, 0.0, "picture"};
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
    mei_wish_begin(&j.wish);
    int n = mei_opts_search(&j, optimizers, opt);
    n += mei_several_opts(&differ, opt + n);
    n += mei_wish_opts(&j.wish, opt + n);
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
    if (differ.n > 0)
        return mei_several_run(&j, &differ, &c);
    mango_status st = mei_search(&j, &err);
    if (st >= 0)
        mei_tell(&j, &c);
    rc = st < 0 ? cli_fail(&c, st, &err) : st == MANGO_STOP_USER ? CLI_INTERRUPTED : CLI_OK;
    mei_end(&j);
    return rc;
}
