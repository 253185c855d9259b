/* mei_explain.c - `mango mei --explain N`: what the optimizer does, step by step.
 *
 * A step is told as it happens: how the optimizer stands when it has asked; each proposal,
 * its value, what it is among the values of the batch, why it was made, how its code
 * begins; how the optimizer stands when it was told. What it said before is not said again.
 * SPDX-License-Identifier: MIT */
#include "mei_explain.h"
#include <stdlib.h>

void mei_explain_begin(mei_explain *e, cli *c, int64_t steps)
{
    const char *columns = getenv("COLUMNS");
    int64_t width = 80;
    memset(e, 0, sizeof *e);
    if (columns)
        (void)mgi_parse_int(columns, 40, 1000, &width);
    e->c = c;
    e->steps = steps;
    e->width = (int)width;
}

void mei_explain_end(mei_explain *e)
{
    free(e->last);
    e->last = NULL;
}

/* A line of at most `width` characters; longer ones end in "..". */
static void mei_explain_line(const mei_explain *e, const char *line, size_t n)
{
    size_t at = 0, fits = 0;
    int wide = 0;
    while (at < n) {
        const int bytes = mgi_utf8((const unsigned char *)line + at, (mango_idx)(n - at));
        at += (size_t)MGI_MAX(bytes, 1);
        wide++;
        if (wide <= e->width - 2)
            fits = at;
    }
    cli_print(e->c, "%.*s%s\n", (int)(wide <= e->width ? n : fits), line,
              wide <= e->width ? "" : "..");
}

static void mei_explain_lines(const mei_explain *e, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        mei_explain_line(e, text, n);
        text += n + (text[n] == '\n');
    }
}

/* What the optimizer has to say, unless it says what it said before. */
static void mei_explain_state(mei_explain *e, const mango_opt *opt)
{
    const mango_idx n = mango_opt_explain(opt, NULL, 0);
    char *text = n > 0 ? malloc((size_t)n + 1) : NULL;
    if (!text)
        return;
    mango_opt_explain(opt, text, n + 1);
    if (!e->last || strcmp(e->last, text))
        mei_explain_lines(e, text);
    free(e->last);
    e->last = text;
}

/* Proposals of the last ask; not those that a resumed run has replayed. */
static mango_idx mei_explain_count(const mango_session *s)
{
    mango_idx K = 0;
    while (mango_session_proposal(s, K, NULL, NULL) == MANGO_OK)
        K++;
    return K;
}

void mei_explain_ask(mei_explain *e, const mango_session *s)
{
    const mango_opt *opt = mango_session_optimizer(s);
    mango_opt_info info;
    if (e->steps == 0 || mango_opt_get(opt, &info) < 0 || info.asked == e->seen)
        return;
    e->K = mei_explain_count(s);
    e->seen = info.asked;
    e->step++;
    cli_progress_end(e->c);
    cli_print(e->c, "--- step %lld: %s proposes %td\n", (long long)e->step, info.preset,
              e->K);
    mei_explain_state(e, opt);
    for (mango_idx k = 0; k < MGI_MIN(e->K, MEI_EXPLAIN_ROWS); k++)
        if (mango_opt_why(opt, k, e->why[k], MEI_EXPLAIN_WHY) < 0)
            e->why[k][0] = 0;
}

/* How many values of the batch are better; a missing one is worse than all. */
static mango_idx mei_explain_rank(mango_idx K, const double *y, mango_idx k, int minimize)
{
    mango_idx better = 0;
    for (mango_idx i = 0; i < K; i++)
        better += mgi_is_finite(y[i]) &&
                  (!mgi_is_finite(y[k]) || (minimize ? y[i] < y[k] : y[i] > y[k]));
    return better;
}

static void mei_explain_row(const mei_explain *e, const mango_idx *I, mango_idx d,
                            mango_idx k, double y, int elite)
{
    mgi_str line;
    mgi_str_init(&line, NULL);
    mgi_str_printf(&line, "  %3td ", k);
    if (mgi_is_finite(y))
        mgi_str_printf(&line, "%9.5g", y);
    else
        mgi_str_puts(&line, "  missing");
    mgi_str_printf(&line, " %s %s%scode", elite ? "elite" : "     ", e->why[k],
                   e->why[k][0] ? "; " : "");
    for (mango_idx j = 0; j < MGI_MIN(d, 32); j++)
        mgi_str_printf(&line, " %td", I[j]);
    if (!line.bad)
        mei_explain_line(e, line.p, (size_t)line.n);
    mgi_str_free(&line);
}

/* Codes (K,d) and values of the batch; NaN: missing, or not known yet. */
static mango_status mei_explain_batch(const mei_explain *e, const mango_session *s,
                                      mango_idx d, mango_idx *I, double *y)
{
    for (mango_idx k = 0; k < e->K; k++) {
        mango_estimate found;
        uint64_t id;
        MGI_TRY(mango_session_proposal(s, k, I + k * d, &id));
        y[k] = mango_session_estimate(s, id, &found) == MANGO_OK ? found.mean : MGI_NAN;
    }
    return MANGO_OK;
}

void mei_explain_tell(mei_explain *e, const mango_session *s)
{
    const mango_opt *opt = mango_session_optimizer(s);
    mango_opt_info info;
    mei_explain_ask(e, s); /* a batch that brought no new code was not seen yet */
    if (e->steps == 0 || e->K == 0 || mango_opt_get(opt, &info) < 0)
        return;
    mango_idx *I = malloc(sizeof *I * (size_t)(e->K * info.d));
    double *y = malloc(sizeof *y * (size_t)e->K);
    if (I && y && mei_explain_batch(e, s, info.d, I, y) == MANGO_OK)
        for (mango_idx k = 0; k < MGI_MIN(e->K, MEI_EXPLAIN_ROWS); k++)
            mei_explain_row(e, I + k * info.d, info.d, k, y[k],
                            mei_explain_rank(e->K, y, k, info.minimize) < info.elite);
    if (e->K > MEI_EXPLAIN_ROWS)
        cli_print(e->c, "  ... and %td more\n", e->K - MEI_EXPLAIN_ROWS);
    free(I);
    free(y);
    mei_explain_state(e, opt);
    e->K = 0;
    e->steps--;
}
