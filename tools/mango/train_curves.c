/* train_curves.c - the curves of a training, one line an epoch, in W.tsv.
 *
 * The file is a log that this process alone holds. After a stop between a checkpoint
 * and its line, or in the middle of one, train_curves_write makes it good.
 * SPDX-License-Identifier: MIT */
#include "train_job.h"
#include <stdlib.h>
#include <string.h>

/* The names of the columns. */
static void curves_head(mgi_str *s, const mango_train_kind_info *is)
{
    mgi_str_puts(s, "epoch");
    for (mango_idx k = 0; k < MGI_COUNT(is->column); k++)
        mgi_str_printf(s, "\t%s", is->column[k]);
    mgi_str_puts(s, "\tseconds\n");
}

mango_status train_curves_open(train_job *j, mango_err *err)
{
    mango_status st = mgi_applog_open(&j->curves, j->tsv, 0, err);
    if (st >= 0 && !j->curves.f)
        st = mgi_applog_open(&j->curves, j->tsv, 1, err);
    return st == MANGO_E_STATE ? MANGO_E_ARG : st; /* refused input, not a failure of ours */
}

void train_curves_close(train_job *j)
{
    mgi_applog_close(&j->curves);
}

/* ---- what it holds ------------------------------------------------------------------ */

/* A place in the text: the line, from 0, and the word under way. */
typedef struct curves_place {
    mango_idx line;
    size_t n;
    char word[32];
} curves_place;

/* The last word of a line is the seconds of its epoch. */
static void curves_byte(curves_place *p, char c, mango_idx epochs, double *seconds)
{
    if (c != '\t' && c != '\n') {
        if (p->n + 1 < sizeof p->word)
            p->word[p->n++] = c;
        return;
    }
    p->word[p->n] = 0;
    p->n = 0;
    if (c == '\t')
        return;
    if (p->line > 0 && p->line <= epochs)
        seconds[p->line - 1] = atof(p->word);
    p->line++;
}

mango_status train_curves_seconds(train_job *j, mango_idx epochs, mango_err *err)
{
    char part[4096];
    curves_place p = {0, 0, ""};
    mango_idx n;
    do {
        MGI_TRY(mgi_applog_read(&j->curves, (mango_idx)sizeof part, part, &n, err));
        for (mango_idx i = 0; i < n; i++)
            curves_byte(&p, part[i], epochs, j->seconds);
    } while (n > 0);
    return MANGO_OK;
}

/* ---- writing ------------------------------------------------------------------------ */

static void curves_line(mgi_str *s, const train_job *j, mango_idx e)
{
    const mango_train_row r = train_row(j, e);
    const double v[] = {r.loss, r.score, r.val_loss, r.val_score, r.lr, r.extra};
    mgi_str_printf(s, "%td\t", r.epoch);
    for (mango_idx k = 0; k < MGI_COUNT(v); k++) {
        if (v[k] == v[k])
            mgi_str_float(s, v[k]);
        else
            mgi_str_puts(s, "-");
        mgi_str_puts(s, "\t");
    }
    mgi_str_printf(s, "%.1f\n", j->seconds[e]);
}

static mango_status curves_append(train_job *j, mgi_str *s, mango_err *err)
{
    const mango_status st =
        s->bad ? MANGO_E_MEM : mgi_applog_append(&j->curves, s->p, s->n, 1, err);
    mgi_str_free(s);
    return st;
}

mango_status train_curves_write(train_job *j, mango_err *err)
{
    mgi_str s;
    const mango_idx n = mango_trainer_rows(j->t);
    mgi_str_init(&s, NULL);
    curves_head(&s, &j->is);
    for (mango_idx e = 0; e < n; e++)
        curves_line(&s, j, e);
    const mango_status st = mgi_applog_cut(&j->curves, 0, err);
    if (st < 0) {
        mgi_str_free(&s);
        return st;
    }
    return curves_append(j, &s, err);
}

mango_status train_curves_add(train_job *j, mango_err *err)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    curves_line(&s, j, mango_trainer_rows(j->t) - 1);
    return curves_append(j, &s, err);
}
