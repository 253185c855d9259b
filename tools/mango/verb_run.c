/* verb_run.c - `mango run`: a network on inputs, its layers recorded.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "input.h"
#include <stdlib.h>

static const cli_doc run_doc = {
    "run", "run a network on inputs, record its layers",
    "mango run --net N (--input X | --fill-input SEED --batch B) [options] --out "
    "Y.safetensors",
    "Inputs: a picture (PNG, JPEG, BMP, PPM, PGM; alpha is dropped; colour becomes\n"
    "luminance for a network of one channel), pictures as .npy (float in [0,1] or uint8,\n"
    "(C,H,W) or (B,C,H,W)), or a .safetensors with one tensor `input` (B,...), already\n"
    "normalized. Vectors (a generator's latent) are (B,C). The VQ-VAE also takes a tensor\n"
    "`codes` (B,H*W) and then only decodes.\n"
    "Writes `L.rate` (batch, channels; mean over space and time) for spiking layers, `L`\n"
    "(batch, ...; mean over time) for others, `L.spikes` (T, batch, ...), `L.codes` "
    "(batch, H*W)\n"
    "for a vector quantizer, and `output`.\n",
    "  mango run --net snn_conv_cifar10 --input best.png --T 20 --record spiking1 --out "
    "y.safetensors\n"
    "  mango run --net zoo:resnet18,width=0.25 --fill 7,1 --fill-input 7 --batch 2 "
    "--record all --out y.safetensors\n"};

#define RUN_MAX 1100 /* readings: every layer, and its spikes */

typedef struct run_job {
    const char *net, *fill, *input, *record, *spikes, *out;
    int64_t fill_seed, batch, T, memory;
    int half, int8;
    mango_net *n;
    mango_idx n_readings;
    mango_reading reading[RUN_MAX];
    char name[RUN_MAX][CLI_NAME + 16];
    mango_idx size[RUN_MAX]; /* floats an input (spikes: an input and step) */
    float *chunk[RUN_MAX];   /* one plan batch */
    float *all[RUN_MAX];     /* the whole of it */
    input_batch in;
} run_job;

static mango_status run_want(run_job *j, mango_idx layer, mango_read what,
                             const char *suffix, mango_err *err)
{
    mango_layer l;
    MGI_TRY(mango_net_layer(j->n, layer, &l));
    for (mango_idx k = 0; k < j->n_readings; k++)
        if (j->reading[k].layer == layer && j->reading[k].what == what && *suffix != '=')
            return MANGO_OK; /* named twice */
    if (j->n_readings == RUN_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "--record: more than %d layers", RUN_MAX);
    mango_idx k = j->n_readings++;
    snprintf(j->name[k], sizeof j->name[k], "%s%s", l.name, suffix);
    j->reading[k].layer = layer;
    j->reading[k].what = what;
    j->size[k] = what == MANGO_READ_RATE    ? l.C
                 : what == MANGO_READ_CODES ? l.H * l.W
                                            : l.C * l.H * l.W;
    return MANGO_OK;
}

/* One name of --record or --spikes; a glob takes every layer that fits. */
static mango_status run_name(run_job *j, const char *name, int spikes, mango_err *err)
{
    mango_idx hit = 0, i;
    mango_layer l;
    int glob = strpbrk(name, "*?[") != NULL || !strcmp(name, "all");
    if (!glob) {
        MGI_TRY(mango_net_find(j->n, name, &i, err));
        MGI_TRY(mango_net_layer(j->n, i, &l));
        if (spikes && !l.spiking)
            return mgi_fail(err, MANGO_E_NAME,
                            "--spikes %s: this layer does not spike (%s)", name, l.kind);
    }
    for (i = 0; i < mango_net_layers(j->n); i++) {
        MGI_TRY(mango_net_layer(j->n, i, &l));
        if ((strcmp(name, "all") && !mgi_glob(name, l.name)) || (spikes && !l.spiking))
            continue;
        hit++;
        MGI_TRY(run_want(j, i,
                         spikes      ? MANGO_READ_SPIKES
                         : l.spiking ? MANGO_READ_RATE
                                     : MANGO_READ_MEAN,
                         spikes      ? ".spikes"
                         : l.spiking ? ".rate"
                                     : "",
                         err));
        if (!spikes && l.codes > 0 && j->in.from < 0)
            MGI_TRY(run_want(j, i, MANGO_READ_CODES, ".codes", err));
    }
    return hit ? MANGO_OK : mgi_fail(err, MANGO_E_NAME, "no layer fits '%s'", name);
}

static mango_status run_names(run_job *j, const char *list, int spikes, mango_err *err)
{
    char name[CLI_NAME];
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n == 0 || n >= sizeof name)
            return mgi_fail(err, MANGO_E_NAME,
                            "'%s': layer names, separated by commas, expected", list);
        memcpy(name, list, n);
        name[n] = 0;
        MGI_TRY(run_name(j, name, spikes, err));
        list += n + (list[n] == ',');
    }
    return MANGO_OK;
}

static mango_status run_readings(run_job *j, mango_err *err)
{
    MGI_TRY(run_names(j, j->record, 0, err));
    MGI_TRY(run_names(j, j->spikes, 1, err));
    for (mango_idx k = 0; k < j->n_readings; k++)
        if (!strcmp(j->name[k], "output")) { /* a layer of that name: it must be the last */
            if (j->reading[k].layer == mango_net_layers(j->n) - 1)
                return MANGO_OK;
            return mgi_fail(err, MANGO_E_NAME,
                            "layer 'output' is not the last one, its name is taken");
        }
    MGI_TRY(run_want(j, mango_net_layers(j->n) - 1, MANGO_READ_MEAN, "=", err));
    mgi_copy(j->name[j->n_readings - 1], (mango_idx)sizeof j->name[0], "output");
    return MANGO_OK;
}

/* Steps that a reading holds: T for spikes, 1 for means. */
static mango_idx run_steps(const run_job *j, mango_idx k)
{
    return j->reading[k].what == MANGO_READ_SPIKES ? j->T : 1;
}

static mango_status run_buffers(run_job *j, mango_idx chunk, mango_err *err)
{
    for (mango_idx k = 0; k < j->n_readings; k++) {
        mango_idx dims[3] = {run_steps(j, k), j->in.B, j->size[k]}, n;
        if (mgi_prod(3, dims, &n) && n <= MGI_LIMIT(UINT64_C(1) << 31)) {
            j->all[k] = calloc((size_t)n, sizeof(float));
            j->chunk[k] =
                calloc((size_t)(run_steps(j, k) * chunk * j->size[k]), sizeof(float));
        }
        if (!j->all[k] || !j->chunk[k])
            return mgi_fail(
                err, MANGO_E_MEM,
                "%s: no memory for this recording; fewer inputs or steps, please",
                j->name[k]);
        j->reading[k].out = j->chunk[k];
    }
    return MANGO_OK;
}

/* Move a chunk's readings to their place among all inputs. */
static void run_collect(run_job *j, mango_idx b0, mango_idx B)
{
    for (mango_idx k = 0; k < j->n_readings; k++)
        for (mango_idx t = 0; t < run_steps(j, k); t++)
            memcpy(j->all[k] + (t * j->in.B + b0) * j->size[k],
                   j->chunk[k] + t * B * j->size[k],
                   (size_t)(B * j->size[k]) * sizeof(float));
}

static mango_status run_evaluate(run_job *j, cli *c, mango_err *err)
{
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_idx chunk = MGI_MIN(j->in.B, 64);
    double since = cli_now();
    mango_plan_defaults(&o);
    o.T = j->T;
    o.batch = chunk;
    o.memory = MGI_LIMIT((uint64_t)j->memory << 20);
    o.raw = j->in.raw;
    o.half = j->half;
    o.int8 = j->int8;
    o.from = j->in.from;
    MGI_TRY(run_buffers(j, chunk, err));
    MGI_TRY(mango_plan_create(&p, j->n, &o, j->n_readings, j->reading, NULL, err));
    mango_status st = MANGO_OK;
    for (mango_idx b = 0; b < j->in.B && st >= 0; b += chunk) {
        mango_idx B = MGI_MIN(chunk, j->in.B - b);
        st = mango_plan_run(p, B, j->in.x + b * j->in.size);
        if (st < 0)
            mgi_fail(err, st, "input %td: %s", b, mango_status_text(st));
        else
            run_collect(j, b, B);
        cli_progress(c, since, 0, (double)(b + B), (double)j->in.B, "inputs");
    }
    cli_progress_end(c);
    mango_plan_destroy(p);
    return st;
}

/* Shape of all values of a reading. */
static void run_shape(const run_job *j, mango_idx k, mango_offer *o)
{
    mango_layer l;
    const mango_read what = j->reading[k].what;
    mango_net_layer(j->n, j->reading[k].layer, &l);
    o->name = j->name[k];
    o->rank = 0;
    if (what == MANGO_READ_SPIKES)
        o->shape[o->rank++] = j->T;
    o->shape[o->rank++] = j->in.B;
    o->shape[o->rank++] = what == MANGO_READ_CODES ? l.H * l.W : l.C;
    if (what == MANGO_READ_CODES || what == MANGO_READ_RATE || l.H * l.W == 1)
        return;
    o->shape[o->rank++] = l.H;
    o->shape[o->rank++] = l.W;
}

static mango_status run_save(run_job *j, mango_err *err)
{
    mango_offer *o = calloc((size_t)j->n_readings, sizeof *o);
    if (!o)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", j->out);
    for (mango_idx k = 0; k < j->n_readings; k++)
        run_shape(j, k, &o[k]);
    const mango_status st = mango_archive_write(j->out, j->n_readings, o,
                                                (const float *const *)j->all, err);
    free(o);
    return st;
}

static void run_report(run_job *j, cli *c)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "{\"inputs\":%td,\"T\":%td,\"out\":", j->in.B, (mango_idx)j->T);
    mgi_json_quote(&s, j->out, (mango_idx)strlen(j->out));
    mgi_str_puts(&s, ",\"tensors\":[");
    for (mango_idx k = 0; k < j->n_readings; k++) {
        mgi_str_puts(&s, k ? "," : "");
        mgi_json_quote(&s, j->name[k], (mango_idx)strlen(j->name[k]));
    }
    mgi_str_puts(&s, "]}");
    cli_print(c, "%s: %td tensors of %td inputs, T %td\n", j->out, j->n_readings, j->in.B,
              (mango_idx)j->T);
    cli_json(c, &s);
    mgi_str_free(&s);
}

static void run_free(run_job *j)
{
    for (mango_idx k = 0; k < j->n_readings; k++) {
        free(j->all[k]);
        free(j->chunk[k]);
    }
    input_free(&j->in);
    mango_net_destroy(j->n);
    free(j);
}

static mango_status run_all(run_job *j, cli *c, mango_err *err)
{
    MGI_TRY(cli_net_open(&j->n, j->net, j->fill, err));
    j->T = cli_steps(c, j->n, j->T);
    if (j->input)
        MGI_TRY(input_read(&j->in, j->n, j->input, err));
    else
        MGI_TRY(input_fill(&j->in, j->n, (uint64_t)j->fill_seed, j->batch, err));
    MGI_TRY(run_readings(j, err));
    MGI_TRY(run_evaluate(j, c, err));
    return run_save(j, err);
}

int verb_run(int argc, char **argv)
{
    cli c;
    mango_err err = {""};
    run_job *j = calloc(1, sizeof *j);
    if (!j)
        return CLI_FAILURE;
    j->fill_seed = -1;
    j->batch = 1;
    j->memory = 1024;
    const cli_opt opt[] = {
        {"--net", CLI_STR, &j->net, 0, 0, "N",
         "weights file, name in weights/, zoo:NAME,k=v, or a graph's text", 1},
        {"--fill", CLI_STR, &j->fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
        {"--input", CLI_STR, &j->input, 0, 0, "X", "picture, .npy or .safetensors", 0},
        {"--fill-input", CLI_INT, &j->fill_seed, 0, 9e15, "SEED",
         "input by the test formula", 0},
        {"--batch", CLI_INT, &j->batch, 1, 4096, "B", "inputs for --fill-input (default 1)",
         0},
        {"--T", CLI_INT, &j->T, 1, 4096, "N", "steps (default: the network's)", 0},
        {"--record", CLI_STR, &j->record, 0, 0, "L,..",
         "layers to record, globs allowed, or all", 0},
        {"--spikes", CLI_STR, &j->spikes, 0, 0, "L,..", "layers whose spikes to record", 0},
        {"--memory", CLI_INT, &j->memory, 1, 1 << 20, "MIB",
         "cap for working memory (default 1024)", 0},
        {"--half-weights", CLI_FLAG, &j->half, 0, 0, NULL,
         "weights rounded to half precision in memory", 0},
        {"--int8-weights", CLI_FLAG, &j->int8, 0, 0, NULL,
         "weights of spikes in 8 bits: other results, see README", 0},
        {"--out", CLI_STR, &j->out, 0, 0, "FILE", "safetensors file to write", 1},
    };
    int rc = cli_parse(&c, &run_doc, opt, (int)MGI_COUNT(opt), 0, argc, argv);
    if (rc < 0 && !j->input == (j->fill_seed < 0))
        rc = cli_usage(&c, "one of --input and --fill-input is needed");
    if (rc < 0) {
        mango_status st = run_all(j, &c, &err);
        rc = st < 0 ? cli_fail(&c, st, &err) : CLI_OK;
        if (rc == CLI_OK)
            run_report(j, &c);
    }
    run_free(j);
    return rc;
}
