/* resume.c - all of a trainer in one safetensors file.
 *
 * One walk over its arrays serves three passes: write, check, read. Resuming
 * checks everything before it changes anything. Doubles are kept as hex digits
 * of their bits.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../net/safetensors.h"

typedef enum resume_pass { RESUME_WRITE, RESUME_CHECK, RESUME_READ } resume_pass;
struct mgi_resume {
    resume_pass pass;
    mgi_tensor_writer *w;
    const mgi_tensors *f;
    mango_err *err;
    const char *path;
};

mango_status mgi_resume_array(mgi_resume *k, const char *group, const char *name,
                              mango_idx n, float *x)
{
    char full[MGI_NAME + 64];
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "%s/%s", group, name);
    const int whole = !s.bad && mgi_copy(full, (mango_idx)sizeof full, s.p);
    mgi_str_free(&s);
    if (!whole)
        return MANGO_E_MEM;
    if (k->pass == RESUME_WRITE) {
        if (!mgi_all_finite(n, x))
            return mgi_fail(k->err, MANGO_E_NONFINITE,
                            "%s: not written, %s holds values that are not finite", k->path,
                            full);
        return mgi_writer_add(k->w, full, MGI_F32, 1, &n, x);
    }
    const mgi_tensor *t = mgi_tensors_find(k->f, full);
    if (!t)
        return mgi_fail(k->err, MANGO_E_SHAPE, "%s: has no tensor %s", k->path, full);
    if (t->count != n || t->dtype != MGI_F32)
        return mgi_fail(k->err, MANGO_E_SHAPE, "%s: %s has %ld values, expected %ld as F32",
                        k->path, full, (long)t->count, (long)n);
    return k->pass == RESUME_READ ? mgi_tensor_floats(t, 1, x, k->err) : MANGO_OK;
}

mango_status mgi_resume_params(mgi_resume *k, const char *group, mango_net *net)
{
    for (int p = 0; p < net->n_params; p++)
        MGI_TRY(mgi_resume_array(k, group, net->param[p].name, net->param[p].count,
                                 net->param[p].v));
    return MANGO_OK;
}

mango_status mgi_resume_optim(mgi_resume *k, const char *m, const char *v, mgi_optim *o)
{
    for (int p = 0; p < o->net->n_params; p++) {
        const mgi_param *q = &o->net->param[p];
        if (!o->g.of[p])
            continue;
        const mango_idx at = o->g.of[p] - o->g.flat;
        MGI_TRY(mgi_resume_array(k, m, q->name, q->count, o->m + at));
        if (o->v)
            MGI_TRY(mgi_resume_array(k, v, q->name, q->count, o->v + at));
    }
    return MANGO_OK;
}

int mgi_resume_reads(const mgi_resume *k)
{
    return k->pass == RESUME_READ;
}

static mango_status resume_arrays(mgi_resume *k, mango_trainer *t)
{
    MGI_TRY(mgi_resume_params(k, "net", t->net));
    MGI_TRY(mgi_resume_optim(k, "m", "v", &t->opt));
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++)
        MGI_TRY(mgi_resume_array(k, "avg", t->net->param[p].name, t->net->param[p].count,
                                 t->avg.of[p]));
    return t->kind->keeps ? t->kind->keeps(k, t) : MANGO_OK;
}

/* ---- numbers --------------------------------------------------------------- */

static void resume_put(mgi_str *s, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    mgi_str_printf(s, "%016llx ", (unsigned long long)bits);
}

/* Reads one double of 16 hex digits and a space; NULL at a bad one. */
static const char *resume_get(const char *z, double *v)
{
    uint64_t bits = 0;
    for (int i = 0; i < 16; i++) {
        const char c = z[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return NULL;
        bits = bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    memcpy(v, &bits, sizeof bits);
    return z[16] == ' ' ? z + 17 : NULL;
}

enum { RESUME_HEAD = 8 + MGI_SUMS, RESUME_ROW = 7 };

static void resume_numbers(const mango_trainer *t, mgi_str *s)
{
    const double head[8] = {(double)t->epoch,
                            (double)t->step,
                            (double)t->update,
                            t->last,
                            t->best,
                            (double)t->best_epoch,
                            (double)t->opt.updates,
                            (double)t->opt_d.updates};
    for (int i = 0; i < 8; i++)
        resume_put(s, head[i]);
    for (int i = 0; i < MGI_SUMS; i++)
        resume_put(s, t->sum[i]);
    for (mango_idx e = 0; e < t->epoch; e++) {
        const mango_train_row *r = &t->row[e];
        const double v[RESUME_ROW] = {(double)r->epoch, r->loss, r->score, r->val_loss,
                                    r->val_score, r->lr, r->extra};
        for (int i = 0; i < RESUME_ROW; i++)
            resume_put(s, v[i]);
    }
}

static int resume_count(double v, double most, mango_idx *out)
{
    if (!(v >= 0 && v <= most && v <= (double)(PTRDIFF_MAX / 2)))
        return 0;
    *out = (mango_idx)v;
    return (double)*out == v;
}

/* Reads the numbers; changes t only when `set`. */
static int resume_parse(mango_trainer *t, const char *z, int set)
{
    double head[RESUME_HEAD], v[RESUME_ROW];
    mango_idx n[6];
    for (int i = 0; z && i < RESUME_HEAD; i++)
        z = resume_get(z, &head[i]);
    if (!z || !resume_count(head[0], (double)t->o.epochs, &n[0]) ||
        !resume_count(head[1], (double)t->steps, &n[1]) ||
        !resume_count(head[2], 1e12, &n[2]) || !resume_count(head[6], 1e12, &n[3]) ||
        !resume_count(head[7], 1e12, &n[4]) ||
        !resume_count(head[5], (double)t->o.epochs, &n[5]))
        return 0;
    for (mango_idx e = 0; e < n[0]; e++) {
        for (int i = 0; z && i < RESUME_ROW; i++)
            z = resume_get(z, &v[i]);
        if (!z)
            return 0;
        const mango_train_row r = {e + 1, v[1], v[2], v[3], v[4], v[5], v[6]};
        if (set)
            t->row[e] = r;
    }
    if (set) {
        t->epoch = n[0], t->step = n[1], t->update = n[2];
        t->opt.updates = n[3], t->opt_d.updates = n[4];
        t->last = head[3], t->best = head[4], t->best_epoch = n[5];
        memcpy(t->sum, head + 8, sizeof t->sum);
        t->ordered = 0;
    }
    return !*z;
}

/* ---- save and resume -------------------------------------------------------- */

static void resume_texts(const mango_trainer *t, mgi_str *options, mgi_str *graph)
{
    mgi_str_init(options, &t->al);
    mgi_str_init(graph, &t->al);
    mgi_train_text(&t->o, options);
    if (t->teacher) {
        mgi_str_printf(options, "teacher=%s\ndistill=", t->teacher_id);
        mgi_str_float(options, t->o.distill);
        mgi_str_puts(options, "\ntemperature=");
        mgi_str_float(options, t->o.temperature);
        mgi_str_puts(options, "\n");
    }
    mgi_str_printf(options, "data=%s %ld\n", t->info.name, (long)t->info.count);
    if (mgi_graph_write(t->net, graph) < 0 || (t->dsc && mgi_graph_write(t->dsc, graph) < 0))
        graph->bad = 1;
}

mango_status mango_trainer_save(const mango_trainer *t, const char *path, mango_err *err)
{
    MGI_CHECK(err, t && path, "mango_trainer_save: t or path is NULL");
    mango_status st = MANGO_E_MEM;
    mgi_str options, graph, numbers;
    mgi_resume k = {RESUME_WRITE, NULL, NULL, err, path};
    resume_texts(t, &options, &graph);
    mgi_str_init(&numbers, &t->al);
    resume_numbers(t, &numbers);
    if (options.bad || graph.bad || numbers.bad)
        goto done;
    MGI_TRY_TO(mgi_writer_new(&k.w, &t->al));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train", "1"));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.kind", t->kind->info.name));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.graph", graph.p));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.options", options.p));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.numbers", numbers.p));
    MGI_TRY_TO(resume_arrays(&k, (mango_trainer *)(uintptr_t)t)); /* read only here */
    MGI_TRY_TO(mgi_writer_save(k.w, path, err));
done:
    mgi_writer_free(k.w);
    mgi_str_free(&options);
    mgi_str_free(&graph);
    mgi_str_free(&numbers);
    return st;
}

/* The first line in which two texts differ, cut to fit a message. */
static void resume_differ(const char *have, const char *want, char *a, char *b, size_t cap)
{
    size_t line = 0, i = 0;
    for (; have[i] && have[i] == want[i]; i++)
        if (have[i] == '\n')
            line = i + 1;
    for (i = 0; i + 1 < cap && have[line + i] && have[line + i] != '\n'; i++)
        a[i] = have[line + i];
    a[i] = 0;
    for (i = 0; i + 1 < cap && want[line + i] && want[line + i] != '\n'; i++)
        b[i] = want[line + i];
    b[i] = 0;
}

static mango_status resume_same(const mango_trainer *t, const mgi_tensors *f, const char *path,
                              mango_err *err)
{
    char a[80], b[80];
    mango_status st = MANGO_OK;
    const char *kind = mgi_tensors_meta(f, "mango.train.kind");
    const char *g = mgi_tensors_meta(f, "mango.train.graph");
    const char *o = mgi_tensors_meta(f, "mango.train.options");
    if (!mgi_tensors_meta(f, "mango.train") || !kind || !g || !o)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: not a training checkpoint", path);
    if (strcmp(kind, t->kind->info.name) != 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: checkpoint of trainer %s, not %s", path, kind,
                        t->kind->info.name);
    mgi_str options, graph;
    resume_texts(t, &options, &graph);
    if (options.bad || graph.bad) {
        st = MANGO_E_MEM;
    } else if (strcmp(g, graph.p) != 0) {
        resume_differ(g, graph.p, a, b, sizeof a);
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: checkpoint of another architecture: '%s', here '%s'", path, a, b);
    } else if (strcmp(o, options.p) != 0) {
        resume_differ(o, options.p, a, b, sizeof a);
        st = mgi_fail(err, MANGO_E_ARG, "%s: made with option %s, now %s", path, a, b);
    }
    mgi_str_free(&options);
    mgi_str_free(&graph);
    return st;
}

mango_status mango_trainer_resume(mango_trainer *t, const char *path, mango_err *err)
{
    MGI_CHECK(err, t && path, "mango_trainer_resume: t or path is NULL");
    mgi_tensors f;
    mango_status st;
    MGI_TRY(mgi_tensors_read(&f, path, &t->al, err));
    mgi_resume k = {RESUME_CHECK, NULL, &f, err, path};
    const char *numbers = mgi_tensors_meta(&f, "mango.train.numbers");
    MGI_TRY_TO(resume_same(t, &f, path, err));
    if (!numbers || !resume_parse(t, numbers, 0)) {
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: the position of the training is damaged", path);
        goto done;
    }
    MGI_TRY_TO(resume_arrays(&k, t));
    k.pass = RESUME_READ;
    MGI_TRY_TO(resume_arrays(&k, t));
    resume_parse(t, numbers, 1);
done:
    mgi_tensors_free(&f);
    return st;
}
