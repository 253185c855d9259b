/* train_files.c - what a training leaves beside its checkpoint.
 * SPDX-License-Identifier: MIT */
#include "train_job.h"
#include "svg.h"
#include "train_sheet.h"
#include <stdlib.h>
#include <string.h>

mango_trainer_info train_at(const train_job *j)
{
    mango_trainer_info s;
    memset(&s, 0, sizeof s);
    mango_trainer_get(j->t, &s);
    return s;
}

mango_train_row train_row(const train_job *j, mango_idx e)
{
    mango_train_row r;
    memset(&r, 0, sizeof r);
    mango_trainer_row(j->t, e, &r);
    return r;
}

mango_status train_files_name(train_job *j, mango_err *err)
{
    const struct {
        char *to;
        const char *end;
    } f[] = {{j->ckpt, "ckpt"},
             {j->tsv, "tsv"},
             {j->svg, "svg"},
             {j->png, "png"},
             {j->dsc_out, "dsc"}};
    MGI_TRY(mgi_file_follow(j->out, j->weights, err));
    j->out = j->weights;
    for (int k = 0; k < (int)MGI_COUNT(f); k++)
        if (snprintf(f[k].to, sizeof j->ckpt, "%s.%s", j->out, f[k].end) >= (int)sizeof j->ckpt)
            return mgi_fail(err, MANGO_E_NAME, "--out: the path is too long");
    return MANGO_OK;
}

/* Loss, or accuracy or error, over epochs as SVG. */
static mango_status files_chart(const train_job *j, mango_err *err)
{
    static const char *const name[][2] = {{"training", "test"}, {"discriminator", "generator"}};
    const mango_idx n = mango_trainer_rows(j->t);
    const int gan = j->is.judged;
    double *y = calloc((size_t)(2 * n), sizeof *y);
    if (!y)
        return MANGO_E_MEM;
    for (mango_idx e = 0; e < n; e++) {
        const mango_train_row r = train_row(j, e);
        y[e] = gan ? r.loss : r.score;
        y[n + e] = gan ? r.score : r.val_score;
    }
    const svg_series s[2] = {{name[gan][0], n, NULL, y, NULL, NULL, SVG_LINE, 0},
                             {name[gan][1], n, NULL, y + n, NULL, NULL, SVG_LINE, 0}};
    svg_chart c;
    memset(&c, 0, sizeof c);
    c.title = cli_info(j->net).arch;
    c.x_label = "epoch";
    c.y_label = gan ? "loss" : j->is.column[1];
    c.n = gan || j->val ? 2 : 1;
    c.series = s;
    const mango_status st = svg_save(j->svg, &c, err);
    free(y);
    return st;
}

mango_status train_files_provenance(train_job *j, const mango_train_row *r)
{
    char number[64], hex[65], score[64];
    for (mango_idx k = 0; k < cli_info(j->net).metas;
         k++) { /* figures of the weights that it started from */
        const char *key = "", *value;
        mango_net_meta_at(j->net, k, &key, &value);
        if (!strncmp(key, "eval.", 5))
            MGI_TRY(mango_net_meta_set(j->net, key, "not measured"));
    }
    MGI_TRY(mango_net_meta_set(j->net, "train.command", j->command));
    MGI_TRY(mango_net_meta_set(j->net, "train.trainer", "mango " MANGO_VERSION));
    MGI_TRY(mango_net_meta_set(j->net, "train.data", j->data_name));
    snprintf(number, sizeof number, "%td", r->epoch);
    MGI_TRY(mango_net_meta_set(j->net, "train.epochs", number));
    snprintf(number, sizeof number, "%td", j->o.T);
    MGI_TRY(mango_net_meta_set(j->net, "train.T", number));
    const double v = j->is.judged ? r->score : r->val_score;
    snprintf(score, sizeof score, "train.%s", j->is.column[j->is.judged ? 1 : 3]);
    if (v == v)
        snprintf(number, sizeof number, "%.6g", v);
    else /* before the first epoch, or without test pictures */
        snprintf(number, sizeof number, "not measured");
    MGI_TRY(mango_net_meta_set(j->net, score, number));
    if (!j->is.samples) /* of this layer, after train.T steps */
        MGI_TRY(mango_net_meta_set(j->net, "train.val_accuracy_layer",
                                   j->o.readout[0] ? j->o.readout
                                                   : cli_layer(j->net, -1).name));
    if (j->dsc &&
        cli_layer(j->dsc, -1).C > 1) { /* the largest of so many first values of a latent */
        snprintf(number, sizeof number, "%td", cli_layer(j->dsc, -1).C);
        MGI_TRY(mango_net_meta_set(j->net, CLI_LATENT_CLASSES, number));
    }
    MGI_TRY(mango_net_digest(j->net, MANGO_DIGEST_HALVES, hex));
    return mango_net_meta_set(j->net, "train.sha256", hex);
}

/* Is epoch e in "--track 0,1,2,4,10-20"? */
static int files_tracked(const char *list, mango_idx e)
{
    while (list && *list) {
        char *end;
        const long a = strtol(list, &end, 10);
        long b = a;
        if (end == list)
            return 0;
        if (*end == '-')
            b = strtol(end + 1, &end, 10);
        if (e >= a && e <= b)
            return 1;
        list = *end == ',' ? end + 1 : end;
        if (*end && *end != ',')
            return 0;
    }
    return 0;
}

mango_status train_files_track(train_job *j, const mango_train_row *r, mango_err *err)
{
    char path[4200];
    if (!files_tracked(j->track, r->epoch))
        return MANGO_OK;
    const size_t n = strlen(j->out), ext = strlen(".safetensors");
    const int cut = n > ext && !strcmp(j->out + n - ext, ".safetensors");
    snprintf(path, sizeof path, "%.*s_%03td.safetensors", (int)(cut ? n - ext : n), j->out,
             r->epoch);
    MGI_TRY(train_files_provenance(j, r));
    return mango_trainer_snapshot(j->t, path, j->dtype, err);
}

mango_status train_files_epoch(train_job *j, const mango_train_row *r, mango_err *err)
{
    MGI_TRY(files_chart(j, err));
    if (j->is.samples)
        MGI_TRY(train_sheet(j->t, j->net, j->dsc, j->o.batch, j->png, err));
    return train_files_track(j, r, err);
}
