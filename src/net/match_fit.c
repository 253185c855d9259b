/* match_fit.c - tensors of another program into a net: names after one prefix was fitted,
 * shapes, and a report of what does not fit.
 * SPDX-License-Identifier: MIT */
#include "match_view.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    FIT_LINES = 40,
    FIT_PREFIXES = 48,
    FIT_PREFIX = 128,
    FIT_NAME = 600,
    FIT_PASSED = 12,
    FIT_ADVICE = 100
};

static int fit_ends(const char *z, const char *tail)
{
    const size_t n = strlen(z), k = strlen(tail);
    return n >= k && !strcmp(z + n - k, tail);
}

/* Tensors of no use, by the last part of their names. */
typedef struct fit_passed {
    char tail[48];
    mango_idx n;
} fit_passed;

struct mango_match {
    mango_alloc al;
    char strip[FIT_PREFIX], add[FIT_PREFIX];
    mango_idx filled, rules, ignored, missing, left, shape;
    mgi_str text; /* lines, each with its NUL */
    mango_idx lines;
    fit_passed passed[FIT_PASSED];
    int n_passed;
    char unused[240]; /* the same as text */
};

typedef struct fit_job {
    mango_net *net;
    const mango_offers *o;
    const mgi_view *view;
    int dry; /* names and shapes alone, nothing is filled */
    mango_match *m;
    const char **sorted;   /* names of the net's parameters */
    unsigned char *filled; /* of each parameter: 1 filled, 2 of the wrong shape */
    int n;                 /* parameters at first: rules may add some           */
    mango_idx *left;       /* (n offers) those that are left over               */
    mango_err *err;
} fit_job;

static int fit_by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* strip + name -> add + name; names without the prefix keep theirs. */
static int fit_rename(const char *name, const char *strip, const char *add, char *out,
                      mango_idx cap)
{
    const size_t n = strlen(strip), k = strlen(add);
    if (n && !strncmp(name, strip, n) && name[n])
        name += n;
    return mgi_copy(out, cap, add) && mgi_copy(out + k, cap - (mango_idx)k, name);
}

typedef struct fit_prefixes {
    char p[FIT_PREFIXES][FIT_PREFIX];
    int n;
} fit_prefixes;

/* Add the first `bytes` of name to the list, unless it is there or full. */
static void fit_prefix_add(fit_prefixes *l, const char *name, size_t bytes)
{
    if (bytes >= FIT_PREFIX || l->n >= FIT_PREFIXES)
        return;
    for (int i = 0; i < l->n; i++)
        if (strlen(l->p[i]) == bytes && !memcmp(l->p[i], name, bytes))
            return;
    memcpy(l->p[l->n], name, bytes);
    l->p[l->n++][bytes] = 0;
}

/* "a." or "a.b." or "a.b.c.", as `depth` says, that a name begins with. */
static void fit_prefix_of(fit_prefixes *l, const char *name, int depth)
{
    const char *dot = name;
    for (int k = 0; k < depth && dot; k++)
        dot = strchr(dot + (k > 0), '.');
    if (dot)
        fit_prefix_add(l, name, (size_t)(dot - name) + 1);
}

/* How many of the net's parameters are there under this pair of prefixes. */
static mango_idx fit_score(const fit_job *j, const char *strip, const char *add)
{
    char name[FIT_NAME];
    const char *p = name;
    mango_idx hits = 0;
    for (mango_idx i = 0; i < j->o->n; i++)
        hits += fit_rename(j->o->offer[i].name, strip, add, name, FIT_NAME) &&
                bsearch(&p, (const void *)j->sorted, (size_t)j->n, sizeof p,
                        fit_by_name) != NULL;
    return hits;
}

/* All prefixes that the names begin with, shortest first, "" before. */
static void fit_candidates(const fit_job *j, fit_prefixes *strips, fit_prefixes *adds)
{
    fit_prefix_add(strips, "", 0);
    fit_prefix_add(adds, "", 0);
    for (int depth = 1; depth <= 3; depth++)
        for (mango_idx i = 0; i < j->o->n; i++)
            fit_prefix_of(strips, j->o->offer[i].name, depth);
    for (int depth = 1; depth <= 2; depth++)
        for (int i = 0; i < j->n; i++)
            fit_prefix_of(adds, j->sorted[i], depth);
    if (!j->o->prefix)
        return;
    strips->n = 1; /* the user's, and no other */
    mgi_copy(strips->p[0], FIT_PREFIX - 1, j->o->prefix);
    if (*j->o->prefix && !fit_ends(j->o->prefix, "."))
        memcpy(strips->p[0] + strlen(strips->p[0]), ".", 2);
}

/* The pair of prefixes under which most names fit; the simplest of equals. */
static mango_status fit_fit(fit_job *j)
{
    fit_prefixes *l = mgi_new(&j->m->al, 2, sizeof *l);
    mango_idx best = -1;
    if (!l)
        return mgi_fail(j->err, MANGO_E_MEM, "no memory for prefixes of names");
    fit_candidates(j, &l[0], &l[1]);
    for (int a = 0; a < l[1].n && best < j->n; a++)
        for (int s = 0; s < l[0].n && best < j->n; s++) {
            const mango_idx hits = fit_score(j, l[0].p[s], l[1].p[a]);
            if (hits <= best)
                continue;
            best = hits;
            mgi_copy(j->m->strip, FIT_PREFIX, l[0].p[s]);
            mgi_copy(j->m->add, FIT_PREFIX, l[1].p[a]);
        }
    mgi_del(&j->m->al, l, 2, sizeof *l);
    return MANGO_OK;
}

static void fit_dims(mgi_str *s, int rank, const mango_idx *shape)
{
    mgi_str_puts(s, "(");
    for (int i = 0; i < rank; i++)
        mgi_str_printf(s, "%s%td", i ? "," : "", shape[i]);
    mgi_str_puts(s, ")");
}

/* One line of what does not fit, up to a screen of them. */
static void fit_line(mango_match *m, const char *what, const char *name, int rank,
                     const mango_idx *shape, const mgi_param *want)
{
    if (m->lines > FIT_LINES)
        return;
    if (m->lines == FIT_LINES) {
        mgi_str_puts(&m->text, "...");
    } else {
        mgi_str_printf(&m->text, "%s: %s ", what, name);
        fit_dims(&m->text, rank, shape);
        if (want) {
            mgi_str_puts(&m->text, ", ");
            fit_dims(&m->text, want->rank, want->shape);
            mgi_str_puts(&m->text, " expected");
        }
    }
    mgi_str_put(&m->text, "", 1);
    m->lines++;
}

/* Known to be of no use here: counters and averages of training, of tools that count. */
static int fit_useless(const mango_offer *t)
{
    static const char *const tail[] = {
        "num_batches_tracked", "_vq_vae._ema_w", "_vq_vae._ema_cluster_size",
        "n_averaged",          "total_ops",      "total_params",
        "num_updates",         "initted"};
    static const char *const scalar[] = {"step", "decay", "epoch", "global_step"};
    for (mango_idx i = 0; i < MGI_COUNT(tail); i++)
        if (fit_ends(t->name, tail[i]))
            return 1;
    for (mango_idx i = 0; t->rank == 0 && i < MGI_COUNT(scalar); i++)
        if (!strcmp(t->name, scalar[i]))
            return 1;
    return 0;
}

/* One of no use, for the report. */
static void fit_pass(mango_match *m, const char *name)
{
    const char *dot = strrchr(name, '.'), *tail = dot ? dot + 1 : name;
    int i = 0;
    while (i < m->n_passed && strcmp(m->passed[i].tail, tail))
        i++;
    m->ignored++;
    if (i == FIT_PASSED || strlen(tail) >= sizeof m->passed[0].tail)
        return;
    if (i == m->n_passed)
        mgi_copy(m->passed[m->n_passed++].tail, (mango_idx)sizeof m->passed[0].tail, tail);
    m->passed[i].n++;
}

static void fit_passed_text(mango_match *m)
{
    size_t at = 0;
    m->unused[0] = 0;
    for (int i = 0; i < m->n_passed && at + 80 < sizeof m->unused; i++)
        at += (size_t)snprintf(m->unused + at, sizeof m->unused - at, "%s%td %s",
                               i ? ", " : "", m->passed[i].n, m->passed[i].tail);
}

/* Did the user say that this may be left over, by its own name or by that of the view? */
static int fit_ignored(const fit_job *j, mango_idx i)
{
    for (mango_idx k = 0; j->o->ignore && j->o->ignore[k]; k++)
        if (mgi_glob(j->o->ignore[k], mgi_view_source(j->view, i)) ||
            mgi_glob(j->o->ignore[k], j->o->offer[i].name))
            return 1;
    return 0;
}

/* A decay beyond [0,1] was clamped, which is said. */
static mango_status fit_clamped(fit_job *j, mango_idx i)
{
    const mango_offer *t = &j->o->offer[i];
    mango_idx count;
    float v = 0;
    if (!fit_ends(t->name, ".beta") && !fit_ends(t->name, ".alpha"))
        return MANGO_OK;
    if (!mgi_prod(t->rank, t->shape, &count) || count != 1)
        return MANGO_OK;
    MGI_TRY(j->o->values(j->o->ud, i, &v, j->err));
    if (v < 0 || v > 1)
        fit_line(j->m, "clamped to [0,1], as snnTorch does", t->name, t->rank, t->shape, NULL);
    return MANGO_OK;
}

/* A tensor that is no parameter: counted as of no use, as part of a rule, or left over. */
static mango_status fit_other(fit_job *j, mango_idx i, const char *name)
{
    const mango_offer *t = &j->o->offer[i];
    mgi_beside what = MGI_BESIDE_STATE;
    if (!fit_useless(t) && j->dry)
        what = mgi_is_rule(j->net, name) ? MGI_BESIDE_RULE : MGI_BESIDE_LEFT;
    else if (!fit_useless(t))
        MGI_TRY(mgi_rule_offer(j->net, name, j->o, i, &what, j->err));
    if (what == MGI_BESIDE_LEFT && fit_ignored(j, i))
        what = MGI_BESIDE_STATE;
    if (what == MGI_BESIDE_STATE)
        fit_pass(j->m, t->name);
    j->m->rules += what == MGI_BESIDE_RULE;
    if (what == MGI_BESIDE_RULE && !j->dry)
        MGI_TRY(fit_clamped(j, i));
    if (what == MGI_BESIDE_LEFT) {
        j->left[j->m->left++] = i;
        fit_line(j->m, "left over", mgi_view_source(j->view, i), t->rank, t->shape, NULL);
    }
    return MANGO_OK;
}

/* (1,C) is not (C), but () is (1), and a convolution of sequences (O,C,k) is (O,C,1,k). */
static int fit_same_shape(const mango_offer *t, const mgi_param *p)
{
    if (t->rank == 0 && p->count == 1)
        return 1;
    return mgi_param_takes(p, t->rank, t->shape);
}

/* Does a node divide this parameter by its spectral norm? */
static int fit_divides(const mango_net *net, int param)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].weight == param && net->node[i].spectral)
            return 1;
    return 0;
}

/* One tensor: into its parameter, its rule, or the report. */
static mango_status fit_one(fit_job *j, mango_idx i)
{
    const mango_offer *t = &j->o->offer[i];
    char name[FIT_NAME];
    int k = -1;
    if (fit_rename(t->name, j->m->strip, j->m->add, name, FIT_NAME))
        k = mgi_param_find(j->net, name);
    if (k < 0)
        return fit_other(j, i, name);
    if (k >= j->n || j->filled[k])
        return mgi_fail(j->err, MANGO_E_FORMAT,
                        "two tensors for %s after prefixes were fitted", name);
    if (!fit_same_shape(t, &j->net->param[k])) {
        j->m->shape++;
        j->filled[k] = 2;
        fit_line(j->m, "wrong shape", t->name, t->rank, t->shape, &j->net->param[k]);
        return MANGO_OK;
    }
    j->filled[k] = 1;
    j->m->filled++;
    if (mgi_view_spectral(j->view, i) && fit_divides(j->net, k))
        return mgi_fail(
            j->err, MANGO_E_UNSUPPORTED,
            "%s comes divided by its spectral norm, and the graph would divide it "
            "again; take sn=0 there",
            t->name);
    return j->dry ? MANGO_OK : j->o->values(j->o->ud, i, j->net->param[k].v, j->err);
}

/* Of those left over, names like the one that is missing, of its shape if there are any. */
static void fit_near(const fit_job *j, const mgi_param *p, char *out, mango_idx cap)
{
    const char *name[64];
    for (int shape = 1; shape >= 0; shape--) {
        mango_idx n = 0;
        for (mango_idx k = 0; k < j->m->left && n < 64; k++) {
            const mango_offer *t = &j->o->offer[j->left[k]];
            if (!shape || fit_same_shape(t, p))
                name[n++] = mgi_view_source(j->view, j->left[k]);
        }
        out[0] = 0;
        if (n)
            mgi_near(p->name, n, name, out, cap);
        if (n)
            return;
    }
}

static void fit_missing(fit_job *j, const mgi_param *p)
{
    mango_match *m = j->m;
    char near[200];
    m->missing++;
    if (j->dry)
        return;
    fit_near(j, p, near, (mango_idx)sizeof near);
    fit_line(m, "missing", p->name, p->rank, p->shape, NULL);
    if (*near && m->lines <= FIT_LINES && !m->text.bad) {
        m->text.n--; /* the line goes on */
        mgi_str_printf(&m->text, "; near: %s", near);
        mgi_str_put(&m->text, "", 1);
    }
}

/* Options that pass over what is left: up to three names, or what they begin with. */
static void fit_advice(const fit_job *j, char out[FIT_ADVICE])
{
    char pattern[FIT_PREFIX];
    size_t at = 0;
    out[0] = 0;
    for (mango_idx k = 0; k < j->m->left; k++) {
        const char *name = mgi_view_source(j->view, j->left[k]);
        const size_t n = strcspn(name, ".");
        if (j->m->left > 3 && name[n] && n < FIT_PREFIX - 3)
            snprintf(pattern, sizeof pattern, "'%.*s.*'", (int)n, name);
        else
            snprintf(pattern, sizeof pattern, "'%.100s'", name);
        if (strstr(out, pattern) || at + strlen(pattern) + 12 > FIT_ADVICE)
            continue;
        at += (size_t)snprintf(out + at, FIT_ADVICE - at, " --ignore %s", pattern);
    }
}

/* The verdict: MANGO_OK, or what does not fit, in number. */
static mango_status fit_verdict(const fit_job *j)
{
    const mango_match *m = j->m;
    char advice[FIT_ADVICE] = "";
    if (!m->missing && !m->left && !m->shape)
        return MANGO_OK;
    if (!m->missing && !m->shape && !j->dry)
        fit_advice(j, advice);
    return mgi_fail(
        j->err, MANGO_E_SHAPE,
        "does not fit %s: of %d parameters %td missing and %td of the wrong shape, "
        "%td tensors left over%s%s",
        j->net->arch[0] ? j->net->arch : "the graph", j->n, m->missing,
        m->shape, m->left, *advice ? "; all parameters are there, pass over the rest:" : "",
        advice);
}

static mango_status fit_all(fit_job *j)
{
    const mango_net *net = j->net;
    for (int i = 0; i < j->n; i++)
        j->sorted[i] = net->param[i].name;
    qsort((void *)j->sorted, (size_t)j->n, sizeof *j->sorted, fit_by_name);
    MGI_TRY(fit_fit(j));
    for (mango_idx i = 0; i < j->o->n; i++)
        MGI_TRY(fit_one(j, i));
    for (int k = 0; k < j->n; k++)
        if (!j->filled[k])
            fit_missing(j, &net->param[k]);
    fit_passed_text(j->m);
    if (j->m->text.bad)
        return mgi_fail(j->err, MANGO_E_MEM, "no memory for a report");
    return fit_verdict(j);
}

/* A job's lists, and its report in *match; then all of it. */
static mango_status fit_run(fit_job *j, mango_match **match)
{
    const mango_alloc al = j->net->al;
    const mango_idx n_params = j->n = j->net->n_params;
    mango_status st = MANGO_E_MEM;
    j->m = mgi_new(&al, 1, sizeof *j->m);
    j->sorted = mgi_new(&al, n_params, sizeof *j->sorted);
    j->filled = mgi_new(&al, n_params, 1);
    j->left = mgi_new(&al, j->o->n, sizeof *j->left);
    if (j->m) {
        j->m->al = al;
        mgi_str_init(&j->m->text, &al);
    }
    if (j->m && j->sorted && j->filled && j->left &&
        (j->dry || mgi_net_alloc_params(j->net) >= 0))
        st = fit_all(j);
    else
        mgi_fail(j->err, st, "no memory to match names");
    mgi_del(&al, (void *)j->sorted, n_params, sizeof *j->sorted);
    mgi_del(&al, j->filled, n_params, 1);
    mgi_del(&al, j->left, j->o->n, sizeof *j->left);
    if (st == MANGO_OK && j->net->n_params > j->n)
        st = mgi_net_relist(j->net, j->err);
    *match = j->m;
    return st;
}

static mango_status fit_offers(mango_net *net, const mango_offers *o, int dry,
                               mango_match **match, mango_err *err)
{
    mgi_view *view = NULL;
    *match = NULL;
    MGI_TRY(mgi_view_new(&view, net, o, err));
    fit_job j = {
        .net = net, .o = mgi_view_offers(view), .view = view, .dry = dry, .err = err};
    const mango_status st = fit_run(&j, match);
    mgi_view_free(view);
    return st;
}

mango_status mango_net_match(mango_net *net, const mango_offers *offers,
                             mango_match **match, mango_err *err)
{
    mango_offers o = {sizeof o, 0, NULL, NULL, NULL, NULL, NULL, NULL};
    MGI_CHECK(err, net && match,
              "mango_net_match: a net and a place for the report expected");
    *match = NULL;
    MGI_TRY(mgi_options_in(&o, sizeof o, offers, "mango_net_match", err));
    MGI_CHECK(err, o.n >= 0 && (o.n == 0 || (o.offer && o.values)),
              "mango_net_match: tensors and a way to their values expected");
    for (mango_idx k = 0; o.rename && o.rename[k]; k++)
        if (!strchr(o.rename[k], '=') || o.rename[k][0] == '=')
            return mgi_fail(err, MANGO_E_ARG, "renaming '%.60s': A=B expected",
                            o.rename[k]);
    return fit_offers(net, &o, 0, match, err);
}

mango_status mango_net_match_try(const mango_net *net, const mango_offers *offers,
                                 mango_match_info *info, mango_err *err)
{
    mango_offers o = {sizeof o, 0, NULL, NULL, NULL, NULL, NULL, NULL};
    mango_match *m = NULL;
    mango_err sub = {""};
    MGI_CHECK(err, net && info,
              "mango_net_match_try: a net and a place for the facts expected");
    memset(info, 0, sizeof *info);
    MGI_TRY(mgi_options_in(&o, sizeof o, offers, "mango_net_match_try", err));
    const mango_status st = fit_offers((mango_net *)(uintptr_t)net, &o, 1, &m, &sub);
    if (m)
        mango_match_get(m, info);
    mango_match_destroy(m);
    info->strip = info->add = info->unused = "";
    return st == MANGO_E_MEM ? mgi_fail(err, st, "%s", sub.text) : st;
}

mango_status mango_offers_defaults_sized(mango_offers *o, size_t size)
{
    const mango_offers own = {sizeof own, 0, NULL, NULL, NULL, NULL, NULL, NULL};
    return mgi_options_out(o, size, &own, sizeof own);
}

mango_status mango_match_get_sized(const mango_match *m, mango_match_info *info,
                                   size_t size)
{
    MGI_REQUIRE(m && info);
    const mango_match_info own = {m->strip,   m->add,  m->filled, m->rules, m->ignored,
                                  m->missing, m->left, m->shape,  m->unused};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_match_lines(const mango_match *m)
{
    return m ? m->lines : -1;
}

const char *mango_match_line(const mango_match *m, mango_idx i)
{
    if (!m || i < 0 || i >= m->lines)
        return NULL;
    const char *p = m->text.p;
    for (; i > 0; i--)
        p += strlen(p) + 1;
    return p;
}

void mango_match_destroy(mango_match *m)
{
    if (!m)
        return;
    const mango_alloc al = m->al;
    mgi_str_free(&m->text);
    mgi_del(&al, m, 1, sizeof *m);
}
