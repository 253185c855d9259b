/* reference_encode.c - reference codes by encoding the pictures of a data set.
 * SPDX-License-Identifier: MIT */
#include "reference.h"
#include "input.h"
#include <stdlib.h>

typedef struct enc_job {
    mango_data *data;
    mango_data_info info;
    mango_plan *plan;
    mango_idx n, d, size; /* codes; modes; values of a picture */
    mango_idx *picture;   /* (n) that are encoded              */
    mango_idx *I;         /* (n,d)                             */
    unsigned char *pixels;
    float *rgb, *code;    /* one picture, its code             */
} enc_job;

/* The first pictures of each class, the same number of each, in the order of classes. */
static void enc_choose(enc_job *j, mango_idx want)
{
    const int *label = mango_data_labels(j->data);
    const mango_idx classes = label ? MGI_MAX(j->info.classes, 1) : 1;
    const mango_idx each = MGI_MIN(want, j->info.count) / classes;
    for (mango_idx c = 0; c < classes; c++)
        for (mango_idx i = 0, k = 0; i < j->info.count && k < each; i++)
            if (!label || label[i] == c) {
                j->picture[j->n++] = i;
                k++;
            }
}

static mango_status enc_open(enc_job *j, mango_net *gen, mango_idx vq, const char *data,
                             const char *root, mango_idx want, mango_err *err)
{
    const mango_layer in = cli_layer(gen, cli_info(gen).input), q = cli_layer(gen, vq);
    mango_plan_options o;
    MGI_TRY(input_data(&j->data, &j->info, data, root, "train", &in, err));
    j->d = q.H * q.W;
    j->size = in.C * in.H * in.W;
    j->picture = calloc((size_t)want, sizeof *j->picture);
    j->I = calloc((size_t)(want * j->d), sizeof *j->I);
    j->pixels = calloc((size_t)j->size, 1);
    j->rgb = calloc((size_t)j->size, sizeof *j->rgb);
    j->code = calloc((size_t)j->d, sizeof *j->code);
    if (!j->picture || !j->I || !j->pixels || !j->rgb || !j->code)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %td reference codes", want);
    enc_choose(j, want);
    const mango_reading codes = {vq, MANGO_READ_CODES, j->code};
    MGI_TRY(mango_plan_defaults(&o));
    o.batch = 1;
    return mango_plan_create(&j->plan, gen, &o, 1, &codes, NULL, err);
}

static mango_status enc_picture(enc_job *j, mango_idx k, mango_err *err)
{
    MGI_TRY(mango_data_picture(j->data, j->picture[k], j->pixels, NULL, err));
    for (mango_idx i = 0; i < j->size; i++)
        j->rgb[i] = (float)j->pixels[i] / 255.0f;
    const mango_status st = mango_plan_run(j->plan, 1, j->rgb);
    if (st < 0)
        return mgi_fail(err, st, "encoding: %s", mango_plan_error(j->plan));
    for (mango_idx i = 0; i < j->d; i++)
        j->I[k * j->d + i] = (mango_idx)j->code[i];
    return MANGO_OK;
}

static void enc_close(enc_job *j)
{
    mango_data_destroy(j->data);
    mango_plan_destroy(j->plan);
    free(j->picture);
    free(j->I);
    free(j->pixels);
    free(j->rgb);
    free(j->code);
}

mango_status reference_encode(cli *c, mango_net *gen, const char *data, const char *root,
                              mango_idx want, mango_err *err)
{
    enc_job j;
    const mango_idx vq = cli_vq(gen);
    memset(&j, 0, sizeof j);
    if (vq < 0)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "--reference: %s has no vector quantizer, it cannot encode pictures",
                        cli_info(gen).arch);
    mango_status st = enc_open(&j, gen, vq, data, root, want, err);
    for (mango_idx k = 0; k < j.n && st >= 0; k++)
        st = enc_picture(&j, k, err);
    if (st >= 0)
        st = mango_reference_set(gen, j.n, j.I, 0, NULL, err);
    if (st >= 0)
        cli_note(c, "%td reference codes: pictures of %s", j.n, data);
    enc_close(&j);
    if (st >= 0 && mango_net_meta_get(gen, REFERENCE_META))
        st = mango_net_meta_set(gen, REFERENCE_META, "none");
    return st >= 0 ? mango_net_meta_set(gen, "reference.codes", data) : st;
}
