/* mei_files.c - what a search leaves in its folder: scores, codes, the picture,
 * the animation, the curve, the report.
 * SPDX-License-Identifier: MIT */
#include "mei_files.h"
#include "gif.h"
#include "html.h"
#include "image.h"
#include <stdlib.h>

#define MEI_FRAMES 60 /* pictures in the animation */
#define MEI_STEPS 12  /* improvements shown in the report */

/* Everything that the files are made from, read off the session once. */
typedef struct mei_story {
    mango_idx d, n, n_better, px;
    mango_idx *code;      /* (d) scratch */
    int32_t *codes;       /* (n,d) */
    double *y, *best;     /* (n) value; best so far */
    mango_idx *shown;     /* (n) presentations */
    unsigned char *frame; /* (n_better,H,W,3) improving pictures */
    double *frame_y;
    mango_idx *frame_query;
    float *picture; /* (C,H,W) */
} mei_story;

static mango_status mei_path(const mei_run *r, const char *name, char path[4096],
                             mango_err *err)
{
    return cli_join(path, 4096, r->out, name, err);
}

static void mei_story_free(mei_story *t)
{
    free(t->code);
    free(t->codes);
    free(t->y);
    free(t->best);
    free(t->shown);
    free(t->frame);
    free(t->frame_y);
    free(t->frame_query);
    free(t->picture);
}

static mango_status mei_story_new(mei_story *t, const mei_run *r, mango_err *err)
{
    mango_session_info si;
    memset(t, 0, sizeof *t);
    mango_session_get(r->session, &si);
    t->d = si.d;
    t->n = si.queries;
    t->n_better = si.improvements;
    t->px = r->info.H * r->info.W * 3;
    t->code = calloc((size_t)t->d, sizeof *t->code);
    t->codes = calloc((size_t)(t->n * t->d) + 1, sizeof *t->codes);
    t->y = calloc((size_t)t->n + 1, sizeof *t->y);
    t->best = calloc((size_t)t->n + 1, sizeof *t->best);
    t->shown = calloc((size_t)t->n + 1, sizeof *t->shown);
    t->frame = calloc((size_t)(t->n_better * t->px) + 1, 1);
    t->frame_y = calloc((size_t)t->n_better + 1, sizeof *t->frame_y);
    t->frame_query = calloc((size_t)t->n_better + 1, sizeof *t->frame_query);
    t->picture = calloc((size_t)(r->info.C * r->info.H * r->info.W), sizeof *t->picture);
    if (!t->code || !t->codes || !t->y || !t->best || !t->shown || !t->frame || !t->frame_y ||
        !t->frame_query || !t->picture)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the report of %td queries", t->n);
    return MANGO_OK;
}

/* Improvement i: its picture, and the best from then on. */
static mango_status mei_story_step(mei_story *t, const mei_run *r, mango_objective *o,
                                   mango_idx i)
{
    mango_improvement m;
    MGI_TRY(mango_session_improved(r->session, i, &m));
    for (mango_idx q = m.queries - 1; q < t->n; q++)
        t->best[q] = m.y;
    t->frame_y[i] = m.y;
    t->frame_query[i] = m.query;
    MGI_TRY(mango_session_query(r->session, m.query, NULL, t->code));
    MGI_TRY(mango_objective_picture(o, t->code, t->picture));
    image_from_planes(r->info.C, r->info.H, r->info.W, t->picture, t->frame + i * t->px);
    return MANGO_OK;
}

static mango_status mei_story_read(mei_story *t, const mei_run *r, mango_objective *o)
{
    mango_value v;
    for (mango_idx q = 0; q < t->n; q++) {
        MGI_TRY(mango_session_value(r->session, q, &v));
        MGI_TRY(mango_session_query(r->session, q, &t->y[q], t->code));
        for (mango_idx j = 0; j < t->d; j++)
            t->codes[q * t->d + j] = (int32_t)t->code[j];
        t->shown[q] = v.shown;
        t->best[q] = NAN;
    }
    for (mango_idx i = 0; i < t->n_better; i++)
        MGI_TRY(mei_story_step(t, r, o, i));
    return MANGO_OK; /* the picture left is the best one */
}

static mango_status mei_save_scores(const mei_story *t, const mei_run *r, mango_err *err)
{
    char path[4096];
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "query\tactivation\tbest%s\n", r->noise ? "\tshown" : "");
    for (mango_idx q = 0; q < t->n; q++) {
        mgi_str_printf(&s, "%td\t", q + 1);
        mgi_str_float(&s, t->y[q]);
        mgi_str_puts(&s, "\t");
        mgi_str_float(&s, t->best[q]);
        if (r->noise)
            mgi_str_printf(&s, "\t%td", t->shown[q]);
        mgi_str_puts(&s, "\n");
    }
    mango_status st = s.bad ? MANGO_E_MEM : mei_path(r, "scores.tsv", path, err);
    if (st >= 0)
        st = mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

static mango_status mei_save_arrays(const mei_story *t, const mei_run *r, mango_err *err)
{
    char path[4096];
    const mango_idx codes[2] = {t->n, t->d}, chw[3] = {r->info.C, r->info.H, r->info.W};
    MGI_TRY(mei_path(r, "codes.npy", path, err));
    MGI_TRY(mango_npy_write(path, MANGO_NPY_I4, 2, codes, t->codes, err));
    if (!t->n_better)
        return MANGO_OK;
    MGI_TRY(mei_path(r, "best.npy", path, err));
    MGI_TRY(mango_npy_write(path, MANGO_NPY_F4, 3, chw, t->picture, err));
    MGI_TRY(mei_path(r, "best.png", path, err));
    return image_save(path, r->info.W, r->info.H, t->frame + (t->n_better - 1) * t->px,
                      err);
}

/* The first improvement, the last, and others evenly between: at most `most`. */
static mango_idx mei_pick(mango_idx i, mango_idx n, mango_idx most)
{
    return n <= most ? i : i * (n - 1) / (most - 1);
}

static void mei_gif(const mei_story *t, const mei_run *r, mgi_str *s)
{
    gif g;
    mango_idx n = MGI_MIN(t->n_better, MEI_FRAMES),
              scale = MGI_MAX(1, 192 / MGI_MAX(r->info.W, r->info.H));
    gif_begin(&g, s, r->info.W, r->info.H, scale);
    for (mango_idx i = 0; i < n; i++)
        gif_frame(&g, t->frame + mei_pick(i, t->n_better, MEI_FRAMES) * t->px,
                  i + 1 < n ? 20 : 200);
    gif_end(&g);
}

static void mei_chart(const mei_story *t, const mei_run *r, svg_chart *c, svg_series se[2])
{
    memset(se, 0, 2 * sizeof *se);
    memset(c, 0, sizeof *c);
    se[0].name = "each query";
    se[1].name = "best so far";
    se[0].n = se[1].n = t->n;
    se[0].y = t->y;
    se[1].y = t->best;
    se[0].style = SVG_POINTS;
    se[1].style = SVG_STEP;
    c->title = r->target;
    c->x_label = "query";
    c->y_label = r->info.target.text       ? "value"
                 : r->info.target.spiking ? "spikes per step"
                 : r->info.target.softmax    ? "probability"
                                             : "activation";
    c->n = 2;
    c->series = se;
}

static void mei_report_steps(const mei_story *t, const mei_run *r, mgi_str *s)
{
    char caption[64];
    mango_idx n = MGI_MIN(t->n_better, MEI_STEPS),
              scale = MGI_MAX(1, 96 / MGI_MAX(r->info.W, r->info.H));
    html_heading(s, "How the picture grew");
    html_row_begin(s);
    for (mango_idx i = 0; i < n; i++) {
        mango_idx k = mei_pick(i, t->n_better, MEI_STEPS);
        snprintf(caption, sizeof caption, "query %td: %.4g", t->frame_query[k] + 1,
                 t->frame_y[k]);
        html_picture(s, r->info.W, r->info.H, scale, t->frame + k * t->px, caption);
    }
    html_row_end(s);
}

/* The first three facts under noise. */
static void mei_report_noise(const mei_run *r, const mango_session_info *si, char v[6][64])
{
    mango_estimate e;
    snprintf(v[1], sizeof v[1], si->told > si->budget ? "%td" : "%td of %td", si->told,
             si->budget);
    v[2][0] = 0;
    if (mango_session_found(r->session, &e) >= 0)
        snprintf(v[2], sizeof v[2], "%.4g (%.4g to %.4g), shown %td times", e.again, e.lo, e.hi,
                 e.n);
}

static void mei_report_facts(const mei_run *r, mgi_str *s)
{
    char v[6][64];
    mango_session_info si;
    mango_session_get(r->session, &si);
    snprintf(v[0], sizeof v[0], "%.6g", si.best);
    snprintf(v[1], sizeof v[1], si.queries > si.budget ? "%td" : "%td of %td", si.queries,
             si.budget);
    snprintf(v[2], sizeof v[2], "%td", si.cached);
    snprintf(v[3], sizeof v[3], "%.2f s", r->seconds);
    snprintf(v[4], sizeof v[4], "%.2f s", r->opt_seconds);
    snprintf(v[5], sizeof v[5], "%.1f",
             (double)(si.queries - si.replayed) / MGI_MAX(r->seconds, 1e-9));
    if (r->noise)
        mei_report_noise(r, &si, v);
    const char *const facts[] = {r->noise ? "best, estimated" : "best activation",
                                 v[0],
                                 r->noise ? "presentations" : "queries",
                                 v[1],
                                 r->noise ? "of the best, mean and 95%" : "from the cache",
                                 v[2],
                                 si.replayed ? "time since resume" : "time",
                                 v[3],
                                 "of it optimizer",
                                 v[4],
                                 "queries per second",
                                 v[5]};
    html_facts(s, 6, facts);
}

static void mei_report_setup(const mei_run *r, mgi_str *s)
{
    char v[10][256];
    mango_session_info si;
    mango_session_get(r->session, &si);
    snprintf(v[1], sizeof v[1], "%s, T %td", r->net, r->info.T);
    snprintf(v[2], sizeof v[2], "%s", r->gen);
    char options[128];
    mango_opt_text(r->options, options, sizeof options);
    snprintf(v[3], sizeof v[3], "%s: %s", r->opt, options);
    snprintf(v[4], sizeof v[4], "%llu", (unsigned long long)r->seed);
    snprintf(v[5], sizeof v[5], "%s", r->info.net);
    snprintf(v[6], sizeof v[6], "%s", r->info.gen);
    snprintf(v[7], sizeof v[7], "%s, kernels %s, %d threads", MANGO_VERSION,
             cli_kernels(), mango_threads());
    snprintf(v[8], sizeof v[8], "after query %td; the process before: %s", si.replayed,
             r->before[0] ? r->before : "not known");
    snprintf(v[9], sizeof v[9], "%s%s%s", r->controls ? r->controls : "",
             r->controls && r->controls[0] && r->resized[0] ? "; " : "", r->resized);
    const char *const cell[] = {
        "what",           "value", "target",           r->target, "network", v[1],
        "generator",      v[2],    "optimizer",        v[3], "seed",    v[4],
        "network sha256", v[5],    "generator sha256", v[6], "mango",   v[7],
        "latents",        r->latents[0] ? r->latents : "codes",
        "pictures",       v[9][0] ? v[9] : "as drawn",
        "resumed",        v[8]};
    html_heading(s, "Set-up");
    html_table(s, MGI_COUNT(cell) / 2 - (si.replayed == 0), 2, cell);
    html_paragraph(
        s, "The same command with the same seed gives the same codes on any machine:");
    html_code(s, r->command);
}

static mango_status mei_save_report(const mei_story *t, const mei_run *r,
                                    const mgi_str *animation, mango_err *err)
{
    char path[4096], title[256], by[512];
    svg_chart c;
    svg_series se[2];
    mgi_str s;
    mango_idx scale = MGI_MAX(1, 192 / MGI_MAX(r->info.W, r->info.H));
    mgi_str_init(&s, NULL);
    snprintf(title, sizeof title, "Most exciting picture of %s", r->target);
    snprintf(by, sizeof by, "%s, with pictures drawn by %s", r->net, r->gen);
    html_begin(&s, title, by);
    mei_report_facts(r, &s);
    if (t->n_better) {
        html_row_begin(&s);
        html_picture(&s, r->info.W, r->info.H, scale, t->frame + (t->n_better - 1) * t->px,
                     "the best picture");
        html_file(&s, "image/gif", animation->p, animation->n, r->info.W * scale,
                  r->info.H * scale, "as it improved");
        html_row_end(&s);
    }
    mei_chart(t, r, &c, se);
    c.inside = 1;
    html_heading(&s, "Convergence");
    html_chart(&s, &c);
    if (t->n_better)
        mei_report_steps(t, r, &s);
    mei_report_setup(r, &s);
    html_end(&s);
    mango_status st = mei_path(r, "report.html", path, err);
    if (st >= 0)
        st = html_save(path, &s, err);
    mgi_str_free(&s);
    return st;
}

static mango_status mei_save_pictures(const mei_story *t, const mei_run *r, mango_err *err)
{
    char path[4096];
    svg_chart c;
    svg_series se[2];
    mgi_str g;
    mgi_str_init(&g, NULL);
    mei_chart(t, r, &c, se);
    mango_status st = mei_path(r, "curve.svg", path, err);
    if (st >= 0)
        st = svg_save(path, &c, err);
    if (st >= 0 && t->n_better) {
        mei_gif(t, r, &g);
        st = g.bad ? MANGO_E_MEM : mei_path(r, "progress.gif", path, err);
        if (st >= 0)
            st = mgi_file_write(path, g.p, g.n, err);
    }
    if (st >= 0)
        st = mei_save_report(t, r, &g, err);
    mgi_str_free(&g);
    return st;
}

mango_status mei_save_all(const mei_run *r, mango_objective *o, mango_err *err)
{
    mei_story t;
    mango_status st = mei_story_new(&t, r, err);
    if (st >= 0)
        st = mei_story_read(&t, r, o);
    if (st >= 0)
        st = mei_save_scores(&t, r, err);
    if (st >= 0)
        st = mei_save_arrays(&t, r, err);
    if (st >= 0)
        st = mei_save_elites(r, err);
    if (st >= 0)
        st = mei_save_pictures(&t, r, err);
    mei_story_free(&t);
    return st;
}

static void mei_key(mgi_str *s, const char *key, const char *value)
{
    mgi_str_puts(s, ",");
    cli_quote(s, key, value);
}

static void mei_number(mgi_str *s, const char *before, double v)
{
    mgi_str_puts(s, before);
    mgi_str_float(s, v); /* null when it is not known */
}

/* Under noise: what is known of the best code; `true`, its value without noise. */
static void mei_noise_json(const mei_run *r, const mango_session_info *si, mgi_str *s)
{
    mango_estimate e;
    mei_key(s, "noise", r->noise);
    mgi_str_printf(s, ",\"presentations\":%td", si->told);
    if (mango_session_found(r->session, &e) < 0)
        return;
    mei_number(s, ",\"mean\":", e.again);
    mei_number(s, ",\"se\":", e.se);
    mei_number(s, ",\"interval\":[", e.lo);
    mei_number(s, ",", e.hi);
    mgi_str_printf(s, "],\"shown\":%td", e.n);
    mei_number(s, ",\"true\":", r->truth);
}

void mei_json(const mei_run *r, mgi_str *s)
{
    mango_session_info si;
    char path[4096] = "", image[4096] = "";
    double y = 0;
    mango_session_get(r->session, &si);
    mango_idx *I = calloc((size_t)si.d, sizeof *I);
    mgi_str_puts(s, "{\"best\":");
    mgi_str_float(s, si.best);
    mgi_str_printf(s,
                   ",\"queries\":%td,\"cached\":%td,\"missing\":%td,\"seconds\":%.3f,\"opt_"
                   "seconds\":%.3f,\"eval_seconds\":%.3f",
                   si.queries, si.cached, si.missing, r->seconds, r->opt_seconds,
                   r->eval_seconds);
    if (r->info.steps_all > 0)
        mgi_str_printf(s, ",\"stopped\":%td,\"steps_saved\":%.4f", r->info.stopped,
                       1.0 - r->info.steps / r->info.steps_all);
    if (r->noise)
        mei_noise_json(r, &si, s);
    if (r->narrow) {
        mgi_str_puts(s, ",\"best_as_is\":");
        mgi_str_float(s, r->as_is); /* null before the end */
    }
    mgi_str_puts(s, ",\"code\":[");
    if (I && mango_session_best(r->session, &y, I) >= 0)
        for (mango_idx j = 0; j < si.d; j++)
            mgi_str_printf(s, "%s%td", j ? "," : "", I[j]);
    mgi_str_puts(s, "]");
    if (mei_path(r, "best.png", path, NULL) >= 0 && si.improvements) {
        image_name(path, image, (mango_idx)sizeof image);
        mei_key(s, "image", image);
    }
    free(I);
}

/* The optimizer's options, each under its name; the rank under its long one. */
static void mei_options_json(const mango_opt_options *o, mgi_str *s)
{
    mango_opt_spec spec;
    double v;
    for (mango_idx i = 0; i < mango_opt_option_count(o->preset); i++) {
        mango_opt_option(o->preset, i, &spec);
        mango_opt_value(o, spec.name, &v, NULL);
        mgi_str_printf(s, ",\"%s\":", strcmp(spec.name, "r") ? spec.name : "rank");
        mgi_str_float(s, v);
    }
}

mango_status mei_save_run(const mei_run *r, mango_err *err)
{
    char path[4096];
    mgi_str s;
    mgi_str_init(&s, NULL);
    mei_json(r, &s);
    mei_key(&s, "state", r->state);
    if (r->before[0])
        mei_key(&s, "before", r->before);
    mei_key(&s, "target", r->target);
    mei_key(&s, "net", r->net);
    mei_key(&s, "net_sha256", r->info.net);
    mei_key(&s, "gen", r->gen);
    mei_key(&s, "gen_sha256", r->info.gen);
    if (r->info.vectors[0])
        mei_key(&s, "vectors_sha256", r->info.vectors);
    if (r->controls && r->controls[0])
        mei_key(&s, "controls", r->controls);
    if (r->latents[0])
        mei_key(&s, "latents", r->latents);
    if (r->resized[0])
        mei_key(&s, "resized", r->resized);
    mei_key(&s, "opt", r->opt);
    mei_options_json(r->options, &s);
    mango_session_info si;
    mango_session_get(r->session, &si);
    mgi_str_printf(&s, ",\"budget\":%td,\"T\":%td,\"seed\":%llu,\"threads\":%d", si.budget,
                   r->info.T, (unsigned long long)r->seed, mango_threads());
    mei_key(&s, "kernels", cli_kernels());
    mei_key(&s, "version", MANGO_VERSION);
    mei_key(&s, "command", r->command);
    mgi_str_puts(&s, "}\n");
    mango_status st = s.bad ? MANGO_E_MEM : mei_path(r, "run.json", path, err);
    if (st >= 0)
        st = mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

void mei_last_state(const char *dir, char *state, mango_idx cap)
{
    char path[4096];
    unsigned char *p = NULL;
    mango_idx n = 0;
    mgi_json j;
    const mango_alloc al = mgi_alloc_get(NULL);
    state[0] = 0;
    if (cli_join(path, sizeof path, dir, "run.json", NULL) < 0 ||
        mgi_file_read(path, 1 << 20, &al, &p, &n, NULL) < 0)
        return;
    if (mgi_json_parse(&j, (const char *)p, n, &al, NULL) == MANGO_OK) {
        const mgi_json_value *v = mgi_json_get(&j, j.v, "state");
        if (v && v->kind == MGI_JSON_STRING)
            mgi_copy(state, cap, strcmp(v->str, "running") ? v->str : "killed");
        mgi_json_free(&j);
    }
    mgi_del(&al, p, n + 1, 1);
}
