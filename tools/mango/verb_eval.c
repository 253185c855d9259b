/* verb_eval.c - `mango eval`: accuracy of a network, reconstruction error of a VQ-VAE;
 * the feature distance of a generator is in eval_fid.c.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "eval_compare.h"
#include "eval_fid.h"
#include "input.h"
#include <stdlib.h>

static const cli_doc eval_doc = {
    "eval", "accuracy, reconstruction error or feature distance on a data set",
    "mango eval --net N|--gen G|--gen G --features N --data NAME --root DIR [options]",
    "A classifier's accuracy (the largest of its outputs, mean over T steps; the first of\n"
    "equal ones), or a VQ-VAE's reconstruction error in [0,1] units and its codebook's "
    "perplexity.\n"
    "With --features the Frechet distance (FID) between random pictures of a generator and "
    "the\n"
    "pictures of the data set, on the features of a classifier: codes are drawn from the "
    "normal\n"
    "distribution, or uniformly from a codebook, and the pictures rounded to 8 bits. --gen "
    "data\n"
    "compares the training pictures instead: real against real, the least to expect. Only\n"
    "figures for the same classifier, layer and number of pictures can be compared.\n"
    "For a generator that learned classes: how many of its pictures the classifier names "
    "as\n"
    "the class that their latent asks for, too.\n"
    "--compare, with weights in fewer bits, runs the same pictures with the weights as "
    "they "
    "are, too,\n"
    "and tells for each spiking layer both mean rates, the mean change of a unit's "
    "activation,\n"
    "and its correlation over the pictures: the mean and the least of the layer's units.\n",
    "  mango eval --net snn_conv_cifar10 --data cifar10 --root data/cifar10 --T 50\n"
    "  mango eval --net snn_conv_cifar10 --data cifar10 --root data/cifar10 --int8-weights "
    "--compare\n"
    "  mango eval --gen vqvae_cifar10 --data cifar10 --root data/cifar10 --limit 1000\n"
    "  mango eval --gen sngan_cifar10 --features resnet18_cifar10 --data cifar10 --root "
    "data/cifar10\n"
    "  mango eval --gen data --features resnet18_cifar10 --data cifar10 --root "
    "data/cifar10\n"};

typedef struct eval_job {
    const char *net_name, *gen_name, *fill, *data_name, *root, *split;
    int64_t limit, T, batch;
    mango_net *net;
    mango_data *data;
    mango_data_info info;
    mango_plan *plan;
    mango_layer in, out;
    mango_idx n, done, right, top_k;
    mango_idx *confusion; /* (classes, outputs) */
    double sum_sq;        /* of the reconstruction, [0,1] units */
    mango_idx *used;      /* (codes) how often */
    mango_idx codes;
    unsigned char *pixels;
    float *x, *y, *q;
    int *label;
    int half, int8, beside; /* weights in fewer bits; --compare */
    eval_compare *compare;
} eval_job;

static mango_status eval_open(eval_job *j, mango_err *err)
{
    MGI_TRY(cli_net(&j->net, j->gen_name ? j->gen_name : j->net_name, j->fill, err));
    MGI_TRY(mango_net_layer(j->net, cli_info(j->net).input, &j->in));
    MGI_TRY(mango_net_layer(j->net, mango_net_layers(j->net) - 1, &j->out));
    MGI_TRY(input_data(&j->data, &j->info, j->data_name, j->root, j->split, &j->in, err));
    if (j->gen_name && (j->out.C != j->in.C || j->out.H != j->in.H || j->out.W != j->in.W))
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s: does not draw the picture that it is shown", j->gen_name);
    if (j->gen_name && j->out.H * j->out.W == 1)
        return mgi_fail(err, MANGO_E_SHAPE, "%s draws no pictures", j->gen_name);
    if (!j->gen_name && (j->out.H * j->out.W != 1 || j->info.classes == 0))
        return mgi_fail(err, MANGO_E_SHAPE, "%s",
                        j->info.classes
                            ? "this network is no classifier; for a generator say --gen"
                            : "these pictures have no labels");
    if (!j->gen_name && j->info.classes > j->out.C)
        return mgi_fail(err, MANGO_E_SHAPE, "%s has %td classes, the network answers %td",
                        j->data_name, j->info.classes, j->out.C);
    j->n = j->limit && j->limit < j->info.count ? j->limit : j->info.count;
    return MANGO_OK;
}

static mango_status eval_plan(eval_job *j, mango_err *err)
{
    mango_plan_options o;
    mango_idx ni = j->in.C * j->in.H * j->in.W, no = j->out.C * j->out.H * j->out.W,
              vq = j->gen_name ? cli_vq(j->net) : -1;
    mango_reading rd[MANGO_LAYERS_MAX + 2] = {
        {mango_net_layers(j->net) - 1, MANGO_READ_MEAN, NULL}, {vq, MANGO_READ_CODES, NULL}};
    mango_idx n = vq >= 0 ? 2 : 1;
    mango_layer l = {0};
    if (vq >= 0) {
        mango_net_layer(j->net, vq, &l);
        j->codes = l.codes;
        j->q = calloc((size_t)(j->batch * l.H * l.W), sizeof *j->q);
        j->used = calloc((size_t)j->codes, sizeof *j->used);
    }
    j->pixels = calloc((size_t)(j->batch * ni), 1);
    j->x = calloc((size_t)(j->batch * ni), sizeof *j->x);
    j->y = calloc((size_t)(j->batch * no), sizeof *j->y);
    j->label = calloc((size_t)j->batch, sizeof *j->label);
    j->confusion =
        calloc((size_t)(MGI_MAX(j->info.classes, 1) * j->out.C), sizeof *j->confusion);
    if (!j->pixels || !j->x || !j->y || !j->label || !j->confusion ||
        (vq >= 0 && (!j->q || !j->used)))
        return mgi_fail(err, MANGO_E_MEM, "no memory for a batch of %td",
                        (mango_idx)j->batch);
    rd[0].out = j->y;
    rd[1].out = j->q;
    mango_plan_defaults(&o);
    o.T = j->T;
    o.batch = j->batch;
    o.half = j->half;
    o.int8 = j->int8;
    if (j->beside)
        MGI_TRY(eval_compare_create(&j->compare, j->net, j->T, j->batch, rd,
                                    (mango_idx)MGI_COUNT(rd), &n, err));
    return mango_plan_create(&j->plan, j->net, &o, n, rd, NULL, err);
}

static void eval_classify(eval_job *j, mango_idx B)
{
    for (mango_idx b = 0; b < B; b++) {
        const float *y = j->y + b * j->out.C;
        mango_idx best = 0, rank = 0;
        for (mango_idx k = 1; k < j->out.C; k++)
            if (y[k] > y[best])
                best = k;
        for (mango_idx k = 0; k < j->out.C; k++)
            rank += y[k] > y[j->label[b]] || (y[k] == y[j->label[b]] && k < j->label[b]);
        j->right += best == j->label[b];
        j->top_k += rank < 5;
        j->confusion[j->label[b] * j->out.C + best]++;
    }
}

static void eval_reconstruct(eval_job *j, mango_idx B)
{
    const mango_net_info f = cli_info(j->net);
    mango_idx n = B * j->in.C * j->in.H * j->in.W;
    for (mango_idx i = 0; i < n; i++) {
        double d = (double)(j->y[i] * f.out_scale + f.out_shift) - (double)j->x[i];
        j->sum_sq += d * d;
    }
    mango_idx vq = cli_vq(j->net);
    if (vq >= 0)
        for (mango_idx i = 0; i < B * cli_layer(j->net, vq).H * cli_layer(j->net, vq).W; i++)
            j->used[(mango_idx)j->q[i]]++;
}

static mango_status eval_batch(eval_job *j, mango_idx b0, mango_idx B, mango_err *err)
{
    mango_idx n = j->in.C * j->in.H * j->in.W;
    for (mango_idx b = 0; b < B; b++)
        MGI_TRY(mango_data_picture(j->data, b0 + b, j->pixels + b * n, &j->label[b], err));
    for (mango_idx i = 0; i < B * n; i++)
        j->x[i] = (float)j->pixels[i] / 255.0f;
    mango_status st = mango_plan_run(j->plan, B, j->x);
    if (st >= 0 && j->compare)
        st = eval_compare_batch(j->compare, B, j->x, j->y, j->label);
    if (st < 0)
        return mgi_fail(err, st, "pictures %td to %td: %s", b0, b0 + B - 1,
                        mango_status_text(st));
    if (j->gen_name)
        eval_reconstruct(j, B);
    else
        eval_classify(j, B);
    j->done += B;
    return MANGO_OK;
}

static mango_status eval_all(eval_job *j, cli *c, mango_err *err)
{
    char text[64] = "";
    MGI_TRY(eval_open(j, err));
    j->T = cli_steps(c, j->net, j->T);
    MGI_TRY(eval_plan(j, err));
    double since = cli_now();
    for (mango_idx b = 0; b < j->n && !cli_interrupted(); b += j->batch) {
        MGI_TRY(eval_batch(j, b, MGI_MIN(j->batch, j->n - b), err));
        if (!j->gen_name)
            snprintf(text, sizeof text, "pictures  accuracy %.4f",
                     (double)j->right / (double)j->done);
        cli_progress(c, since, 0, (double)j->done, (double)j->n,
                     text[0] ? text : "pictures");
    }
    cli_progress_end(c);
    return MANGO_OK;
}

static double eval_perplexity(const eval_job *j)
{
    double total = 0, H = 0;
    for (mango_idx k = 0; k < j->codes; k++)
        total += (double)j->used[k];
    for (mango_idx k = 0; k < j->codes; k++)
        if (j->used[k])
            H -= (double)j->used[k] / total * mango_log((double)j->used[k] / total);
    return mango_exp(H);
}

static void eval_report_generator(const eval_job *j, cli *c, mgi_str *s)
{
    double mse = j->sum_sq / ((double)j->done * (double)(j->in.C * j->in.H * j->in.W));
    double psnr = -10.0 * mango_log(mse) / mango_log(10.0);
    cli_print(c, "mse %.6f  psnr %.2f dB  on %td pictures", mse, psnr, j->done);
    mgi_str_puts(s, "{\"mse\":");
    mgi_str_float(s, mse);
    mgi_str_puts(s, ",\"psnr\":");
    mgi_str_float(s, psnr); /* null when the pictures are the same */
    mgi_str_printf(s, ",\"pictures\":%td", j->done);
    if (j->codes) {
        cli_print(c, "  perplexity %.1f of %td codes", eval_perplexity(j), j->codes);
        mgi_str_printf(s, ",\"perplexity\":%.2f,\"codes\":%td", eval_perplexity(j),
                       j->codes);
    }
    cli_print(c, "\n");
    mgi_str_puts(s, "}");
}

static void eval_report_classes(const eval_job *j, cli *c, mgi_str *s)
{
    double acc = (double)j->right / (double)j->done;
    cli_print(c, "accuracy %.4f (%td of %td), T %td\n", acc, j->right, j->done,
              (mango_idx)j->T);
    mgi_str_printf(
        s, "{\"accuracy\":%.6f,\"top5\":%.6f,\"pictures\":%td,\"T\":%td,\"classes\":[", acc,
        (double)j->top_k / (double)j->done, j->done, (mango_idx)j->T);
    for (mango_idx k = 0; k < j->info.classes; k++) {
        mango_idx of = 0;
        const char *name = mango_data_class(j->data, k);
        for (mango_idx o = 0; o < j->out.C; o++)
            of += j->confusion[k * j->out.C + o];
        double a = of ? (double)j->confusion[k * j->out.C + k] / (double)of : 0.0;
        if (j->info.classes <= 20)
            cli_print(c, "  %-16s %.4f of %td\n", name ? name : "", a, of);
        mgi_str_printf(s, "%s{\"name\":", k ? "," : "");
        mgi_json_quote(s, name ? name : "", (mango_idx)strlen(name ? name : ""));
        mgi_str_printf(s, ",\"accuracy\":%.6f,\"pictures\":%td}", a, of);
    }
    mgi_str_puts(s, "]");
    if (j->compare)
        eval_compare_report(j->compare, c, s);
    mgi_str_puts(s, "}");
}

static void eval_report(const eval_job *j, cli *c)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    if (j->gen_name)
        eval_report_generator(j, c, &s);
    else
        eval_report_classes(j, c, &s);
    cli_json(c, &s);
    mgi_str_free(&s);
}

static void eval_free(eval_job *j)
{
    mango_plan_destroy(j->plan);
    eval_compare_destroy(j->compare);
    mango_net_destroy(j->net);
    mango_data_destroy(j->data);
    free(j->pixels);
    free(j->x);
    free(j->y);
    free(j->q);
    free(j->used);
    free(j->label);
    free(j->confusion);
}

/* --features: the same options, another job. */
static int eval_distance(cli *c, const eval_job *j, eval_fid_options *f)
{
    f->gen = j->gen_name, f->fill = j->fill;
    f->data = j->data_name, f->root = j->root, f->split = j->split;
    f->limit = j->limit, f->T = j->T, f->batch = j->batch;
    return eval_fid(c, f);
}

/* Options that do not go together: the exit code, or -1. */
static int eval_usage(cli *c, const eval_job *j, const eval_fid_options *f)
{
    const int narrow = j->half || j->int8;
    if (!j->net_name == !j->gen_name)
        return cli_usage(c, "one of --net and --gen is needed");
    if (narrow && f->features)
        return cli_usage(c, "--features takes the weights as they are");
    if (j->beside && (!narrow || !j->net_name))
        return cli_usage(c, "--compare goes with --net and --int8-weights or --half-weights");
    if (f->features && !j->gen_name)
        return cli_usage(c, "--features goes with --gen");
    if (!f->features && (f->layer || f->codes))
        return cli_usage(c, "--layer and --codes go with --features");
    return -1;
}

int verb_eval(int argc, char **argv)
{
    cli c;
    mango_err err = {""};
    eval_job j;
    eval_fid_options f;
    memset(&j, 0, sizeof j);
    memset(&f, 0, sizeof f);
    j.batch = 50;
    j.split = "test";
    const cli_opt opt[] = {
        {"--net", CLI_STR, &j.net_name, 0, 0, "N", "classifier: weights file or name", 0},
        {"--gen", CLI_STR, &j.gen_name, 0, 0, "G",
         "VQ-VAE, or with --features any generator: weights file or name", 0},
        {"--features", CLI_STR, &f.features, 0, 0, "N",
         "classifier for the feature distance: file or name", 0},
        {"--layer", CLI_STR, &f.layer, 0, 0, "L",
         "features: means over this layer's channels (default: the last linear layer's "
         "input)",
         0},
        {"--codes", CLI_STR, &f.codes, 0, 0, "D",
         "features: uniform, on the search's grid, or normal (default but for a codebook)",
         0},
        {"--fill", CLI_STR, &j.fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
        {"--data", CLI_STR, &j.data_name, 0, 0, "NAME",
         "cifar10, mnist, fashion-mnist or folder", 1},
        {"--root", CLI_STR, &j.root, 0, 0, "DIR", "where the data set lies", 1},
        {"--split", CLI_STR, &j.split, 0, 0, "S", "test (default) or train", 0},
        {"--limit", CLI_INT, &j.limit, 1, 1e9, "K",
         "the first K pictures only; features: K spread over the set (default 10000)", 0},
        {"--T", CLI_INT, &j.T, 1, 4096, "N", "steps (default: the network's)", 0},
        {"--batch", CLI_INT, &j.batch, 1, 4096, "B", "pictures at once (default 50)", 0},
        {"--half-weights", CLI_FLAG, &j.half, 0, 0, NULL,
         "weights rounded to half precision in memory", 0},
        {"--int8-weights", CLI_FLAG, &j.int8, 0, 0, NULL,
         "weights of spikes in 8 bits: other results, see README", 0},
        {"--compare", CLI_FLAG, &j.beside, 0, 0, NULL,
         "and with the weights as they are: rates and correlations of each layer", 0},
    };
    int rc = cli_parse(&c, &eval_doc, opt, (int)MGI_COUNT(opt), 0, argc, argv);
    if (rc >= 0)
        return rc;
    rc = eval_usage(&c, &j, &f);
    if (rc >= 0)
        return rc;
    if (f.features)
        return eval_distance(&c, &j, &f);
    cli_catch_signals();
    mango_status st = eval_all(&j, &c, &err);
    rc = st < 0 ? cli_fail(&c, st, &err) : cli_interrupted() ? CLI_INTERRUPTED : CLI_OK;
    if (st >= 0 && j.done)
        eval_report(&j, &c);
    eval_free(&j);
    return rc;
}
