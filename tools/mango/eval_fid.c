/* eval_fid.c - `mango eval --features`: Frechet distance between the features of
 * generated pictures (or of another split) and those of a data set's pictures.
 * SPDX-License-Identifier: MIT */
#include "eval_fid.h"
#include "input.h"
#include <math.h>
#include <stdlib.h>

#define FID_PICTURES 10000
#define FID_RNG_CODES 0x46494401u /* index: picture */

typedef struct fid_job {
    const eval_fid_options *o;
    cli *c;
    mango_net *gen, *net;
    mango_drawing *draw;
    mango_drawing_info drawn;
    mango_space_info space;
    mango_modes modes;
    mango_plan *look;
    mango_data *real, *other; /* other: with --gen data */
    mango_moments *m[2];      /* of the data's pictures, of the others */
    mango_layer in, layer;
    mango_idx n, done, size;  /* pictures of each; values of a picture */
    int normal;               /* latents from N(0,1), not from the grid */
    mango_idx *I;             /* (batch,d) */
    float *z, *rgb, *feature; /* (batch,d) (batch,C,H,W) (batch,features) */
    unsigned char *pixels;    /* (C,H,W) */
    mango_idx classes, named; /* read off latents, 0: none; pictures named alike */
    int *asked;               /* (batch) class of the latent     */
    float *answer;            /* (batch,classes) of the network  */
    double since, fid, means;
} fid_job;

/* ---- opening ---- */
static mango_status fid_data(const fid_job *j, mango_data **data, const char *split,
                             mango_err *err)
{
    mango_data_info info;
    return input_data(data, &info, j->o->data, j->o->root, split, &j->in, err);
}

/* --fill is for those that have no weights. */
static mango_status fid_net(const fid_job *j, mango_net **net, const char *what,
                            mango_err *err)
{
    return cli_net(net, what, cli_is_blank(what) ? j->o->fill : NULL, err);
}

/* The layer to read: the one named, else the input of the last linear layer. */
static mango_status fid_layer(const fid_job *j, mango_idx *layer, mango_err *err)
{
    if (j->o->layer)
        return mango_net_find(j->net, j->o->layer, layer, err);
    for (mango_idx i = mango_net_layers(j->net) - 1; i >= 0; i--)
        if (!strcmp(cli_layer(j->net, i).kind, "linear")) {
            *layer = mango_net_layer_input(j->net, i, 0);
            return MANGO_OK;
        }
    return mgi_fail(err, MANGO_E_NAME,
                    "%s has no linear layer whose input could be read: give --layer L",
                    j->o->features);
}

/* The generator, its space, how codes are drawn. */
static mango_status fid_generator(fid_job *j, mango_err *err)
{
    const char *codes = j->o->codes;
    mango_drawing_options d;
    MGI_TRY(fid_net(j, &j->gen, j->o->gen, err));
    MGI_TRY(mango_drawing_defaults(&d));
    d.batch = (mango_idx)j->o->batch;
    MGI_TRY(mango_drawing_create(&j->draw, j->gen, &d, NULL, err));
    MGI_TRY(mango_drawing_get(j->draw, &j->drawn));
    MGI_TRY(mango_space_get(j->drawn.space, &j->space));
    j->modes = j->space.modes;
    const mango_drawing_info out = j->drawn;
    if (out.C != j->in.C || out.H != j->in.H || out.W != j->in.W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s draws %tdx%tdx%td, the network wants %tdx%tdx%td", j->o->gen,
                        out.C, out.H, out.W, j->in.C, j->in.H, j->in.W);
    j->normal = !j->space.codebook && !(codes && !strcmp(codes, "uniform"));
    if (codes && !strcmp(codes, "normal") && !j->normal)
        return mgi_fail(err, MANGO_E_ARG,
                        "--codes normal: %s has a codebook, whose codes are drawn uniform",
                        j->o->gen);
    return MANGO_OK;
}

/* A generator that learned classes (mango train sngan --dsc ...,classes=K): is the
 * features' network a classifier of as many? */
static mango_status fid_classes(fid_job *j, mango_err *err)
{
    const char *meta = mango_net_meta_get(j->gen, CLI_LATENT_CLASSES);
    const mango_layer y = cli_layer(j->net, -1);
    int64_t K;
    if (!meta || !mgi_parse_int(meta, 2, (int64_t)j->modes.d, &K) || y.C != K || y.H * y.W != 1)
        return MANGO_OK;
    j->asked = calloc((size_t)j->o->batch, sizeof *j->asked);
    j->answer = calloc((size_t)j->o->batch * (size_t)K, sizeof *j->answer);
    if (!j->asked || !j->answer)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a batch of %ld", (long)j->o->batch);
    j->classes = (mango_idx)K;
    return MANGO_OK;
}

/* The place of the largest of n values, the first of equals. */
static int fid_largest(mango_idx n, const float *x)
{
    int at = 0;
    for (int k = 1; k < n; k++)
        at = x[k] > x[at] ? k : at;
    return at;
}

static mango_status fid_plans(fid_job *j, mango_idx layer, mango_err *err)
{
    const mango_idx B = (mango_idx)j->o->batch, d = j->gen ? j->modes.d : 1;
    mango_plan_options p;
    j->size = j->in.C * j->in.H * j->in.W;
    j->I = calloc((size_t)(B * d), sizeof *j->I);
    j->z = calloc((size_t)(B * d), sizeof *j->z);
    j->rgb = calloc((size_t)(B * j->size), sizeof *j->rgb);
    j->feature = calloc((size_t)(B * j->layer.C), sizeof *j->feature);
    j->pixels = calloc((size_t)j->size, 1);
    if (!j->I || !j->z || !j->rgb || !j->feature || !j->pixels)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a batch of %td", B);
    if (j->gen)
        MGI_TRY(fid_classes(j, err));
    const mango_reading feature[2] = {{layer, MANGO_READ_RATE, j->feature},
                                      {cli_info(j->net).output, MANGO_READ_MEAN, j->answer}};
    mango_plan_defaults(&p);
    p.batch = B;
    p.T = (mango_idx)j->o->T;
    return mango_plan_create(&j->look, j->net, &p, j->classes ? 2 : 1, feature, NULL, err);
}

static mango_status fid_open(fid_job *j, mango_err *err)
{
    const eval_fid_options *o = j->o;
    const int data = !strcmp(o->gen, "data");
    mango_data_info info;
    mango_idx layer;
    if (o->fill && !cli_is_blank(o->features) && !cli_is_blank(o->gen))
        return mgi_fail(err, MANGO_E_ARG, "--fill goes with zoo:NAME or a graph's text only");
    MGI_TRY(fid_net(j, &j->net, o->features, err));
    MGI_TRY(mango_net_layer(j->net, cli_info(j->net).input, &j->in));
    MGI_TRY(fid_layer(j, &layer, err));
    MGI_TRY(mango_net_layer(j->net, layer, &j->layer));
    if (!data)
        MGI_TRY(fid_generator(j, err));
    MGI_TRY(fid_data(j, &j->real, o->split, err));
    mango_data_get(j->real, &info);
    j->n = MGI_MIN(o->limit ? (mango_idx)o->limit : FID_PICTURES, info.count);
    if (data) {
        MGI_TRY(fid_data(j, &j->other, strcmp(o->split, "train") ? "train" : "test", err));
        mango_data_get(j->other, &info);
        j->n = MGI_MIN(j->n, info.count);
    }
    if (j->n < 2)
        return mgi_fail(err, MANGO_E_ARG,
                        "a distance needs 2 pictures, and more than features");
    for (int k = 0; k < 2; k++)
        MGI_TRY(mango_moments_create(&j->m[k], j->layer.C, NULL, err));
    return fid_plans(j, layer, err);
}

/* ---- pictures and their features ---- */

/* Pictures at to at + B - 1 of n, spread over the set. */
static mango_status fid_load(fid_job *j, const mango_data *data, mango_idx at, mango_idx B,
                             mango_err *err)
{
    mango_data_info info;
    mango_data_get(data, &info);
    for (mango_idx b = 0; b < B; b++) {
        MGI_TRY(mango_data_picture(data, (at + b) * info.count / j->n, j->pixels, NULL, err));
        for (mango_idx i = 0; i < j->size; i++)
            j->rgb[b * j->size + i] = (float)j->pixels[i] / 255.0f;
    }
    return MANGO_OK;
}

/* Pictures of codes of their own, whatever the batch; rounded to 8 bits. */
static mango_status fid_draw(fid_job *j, mango_idx at, mango_idx B, mango_err *err)
{
    mango_rng r;
    for (mango_idx b = 0; b < B; b++) {
        mango_rng_init(&r, (uint64_t)j->c->seed, FID_RNG_CODES, (uint64_t)(at + b));
        for (mango_idx k = b * j->modes.d, l = 0; l < j->modes.d; k++, l++)
            if (j->normal)
                j->z[k] = (float)mango_rng_normal(&r);
            else
                j->I[k] = mango_rng_int(&r, j->modes.n[l]);
    }
    if (!j->normal)
        MGI_TRY(mango_space_latent(j->drawn.space, B, j->I, j->z));
    for (mango_idx b = 0; b < B && j->classes; b++)
        j->asked[b] = fid_largest(j->classes, j->z + b * j->modes.d);
    const mango_status st = mango_drawing_latents(j->draw, B, j->z, j->rgb);
    if (st < 0)
        return mgi_fail(err, st, "%s, codes %td to %td: %s", j->o->gen, at, at + B - 1,
                        mango_drawing_error(j->draw));
    return MANGO_OK;
}

/* All pictures of one side: set 0 the data's, set 1 the others. */
static mango_status fid_side(fid_job *j, int set, mango_err *err)
{
    const mango_data *data = set ? j->other : j->real;
    for (mango_idx at = 0; at < j->n && !cli_interrupted(); at += (mango_idx)j->o->batch) {
        const mango_idx B = MGI_MIN((mango_idx)j->o->batch, j->n - at);
        MGI_TRY(data ? fid_load(j, data, at, B, err) : fid_draw(j, at, B, err));
        mango_status st = mango_plan_run(j->look, B, j->rgb);
        if (st >= 0)
            st = mango_moments_add(j->m[set], B, j->feature, err);
        if (st < 0)
            return mgi_fail(err, st, "%s, pictures %td to %td: %s", j->o->features, at,
                            at + B - 1, mango_status_text(st));
        for (mango_idx b = 0; b < B && j->classes && set; b++)
            j->named += fid_largest(j->classes, j->answer + b * j->classes) == j->asked[b];
        j->done += B;
        cli_progress(j->c, j->since, 0, (double)j->done, 2.0 * (double)j->n, "pictures");
    }
    return MANGO_OK;
}

static mango_status fid_all(fid_job *j, mango_err *err)
{
    MGI_TRY(fid_open(j, err));
    if (j->n <= j->layer.C)
        cli_note(j->c, "%td pictures for %td features: the distance comes out too large",
                 j->n, j->layer.C);
    j->since = cli_now();
    MGI_TRY(fid_side(j, 0, err));
    MGI_TRY(fid_side(j, 1, err));
    cli_progress_end(j->c);
    return cli_interrupted() ? MANGO_OK
                             : mango_fid(j->m[0], j->m[1], NULL, &j->fid, &j->means, err);
}

static void fid_report(fid_job *j)
{
    const char *codes = !j->gen ? "" : j->normal ? "normal" : "uniform";
    mgi_str s;
    mgi_str_init(&s, NULL);
    cli_print(
        j->c,
        "fid %.6g  means %.6g  covariances %.6g  on %td pictures, %td features of '%s'\n",
        j->fid, j->means, j->fid - j->means, j->n, j->layer.C, j->layer.name);
    if (j->classes)
        cli_print(j->c, "%.2f%% of the drawn pictures are named as the class of their latent\n",
                  100.0 * (double)j->named / (double)j->n);
    mgi_str_puts(&s, "{\"fid\":");
    mgi_str_float(&s, j->fid);
    mgi_str_printf(&s, ",\"pictures\":%td,\"features\":%td,", j->n, j->layer.C);
    cli_quote(&s, "layer", j->layer.name);
    mgi_str_puts(&s, ",\"means\":");
    mgi_str_float(&s, j->means);
    if (j->classes) {
        mgi_str_puts(&s, ",\"named\":");
        mgi_str_float(&s, (double)j->named / (double)j->n);
    }
    mgi_str_puts(&s, ",");
    cli_quote(&s, "gen", j->o->gen);
    if (j->gen) {
        mgi_str_puts(&s, ",");
        cli_quote(&s, "codes", codes);
        mgi_str_printf(&s, ",\"seed\":%lld", (long long)j->c->seed);
    }
    mgi_str_puts(&s, "}");
    cli_json(j->c, &s);
    mgi_str_free(&s);
}

static void fid_free(fid_job *j)
{
    mango_drawing_destroy(j->draw);
    mango_plan_destroy(j->look);
    mango_net_destroy(j->gen);
    mango_net_destroy(j->net);
    mango_data_destroy(j->real);
    mango_data_destroy(j->other);
    mango_moments_destroy(j->m[0]);
    mango_moments_destroy(j->m[1]);
    free(j->I);
    free(j->z);
    free(j->rgb);
    free(j->feature);
    free(j->pixels);
    free(j->asked);
    free(j->answer);
}

int eval_fid(cli *c, const eval_fid_options *o)
{
    mango_err err = {""};
    fid_job j;
    if (o->codes && strcmp(o->codes, "uniform") && strcmp(o->codes, "normal"))
        return cli_usage(c, "--codes %s: uniform or normal expected", o->codes);
    if (o->codes && !strcmp(o->gen, "data"))
        return cli_usage(c, "--codes goes with a generator, not with --gen data");
    memset(&j, 0, sizeof j);
    j.o = o;
    j.c = c;
    cli_catch_signals();
    const mango_status st = fid_all(&j, &err);
    const int rc = st < 0              ? cli_fail(c, st, &err)
                   : cli_interrupted() ? CLI_INTERRUPTED
                                       : CLI_OK;
    if (rc == CLI_OK)
        fid_report(&j);
    fid_free(&j);
    return rc;
}
