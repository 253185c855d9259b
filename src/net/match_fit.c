/* match_fit.c - tensors of another program into a net: names after one prefix was fitted,
 * shapes, and a report of what does not fit.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include "match.h"
#include <stdio.h>
#include <stdlib.h>

enum { FIT_LINES = 40, FIT_PREFIXES = 48, FIT_PREFIX = 128, FIT_NAME = 600 };

static int fit_ends(const char *z, const char *tail)
{
    const size_t n = strlen(z), k = strlen(tail);
    return n >= k && !strcmp(z + n - k, tail);
}

struct mango_match {
    mango_alloc al;
    char strip[FIT_PREFIX], add[FIT_PREFIX];
    mango_idx filled, rules, ignored, missing, left, shape;
    mgi_str text; /* lines, each with its NUL */
    mango_idx lines;
};

typedef struct fit_job {
    mango_net *net;
    const mango_offers *o;
    mango_match *m;
    const char **sorted;   /* names of the net's parameters */
    unsigned char *filled; /* of each parameter: 1 filled, 2 of the wrong shape */
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
                bsearch(&p, (const void *)j->sorted, (size_t)j->net->n_params, sizeof p,
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
        for (int i = 0; i < j->net->n_params; i++)
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
    for (int a = 0; a < l[1].n && best < j->net->n_params; a++)
        for (int s = 0; s < l[0].n && best < j->net->n_params; s++) {
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

/* Known to be of no use here. */
static int fit_useless(const char *name)
{
    static const char *const tail[] = {"num_batches_tracked", "_vq_vae._ema_w",
                                       "_vq_vae._ema_cluster_size"};
    for (mango_idx i = 0; i < MGI_COUNT(tail); i++)
        if (fit_ends(name, tail[i]))
            return 1;
    return 0;
}

/* A tensor that is no parameter: counted as of no use, as part of a rule, or left over. */
static mango_status fit_other(fit_job *j, mango_idx i, const char *name)
{
    const mango_offer *t = &j->o->offer[i];
    mgi_beside what = MGI_BESIDE_STATE;
    if (!fit_useless(t->name))
        MGI_TRY(mgi_rule_offer(j->net, name, j->o, i, &what, j->err));
    j->m->ignored += what == MGI_BESIDE_STATE;
    j->m->rules += what == MGI_BESIDE_RULE;
    if (what == MGI_BESIDE_LEFT) {
        j->m->left++;
        fit_line(j->m, "left over", t->name, t->rank, t->shape, NULL);
    }
    return MANGO_OK;
}

/* Trailing sizes of 1 may be there or not: (1,C) is not (C), but () is (1). */
static int fit_same_shape(const mango_offer *t, const mgi_param *p)
{
    if (t->rank == 0 && p->count == 1)
        return 1;
    return mgi_param_takes(p, t->rank, t->shape);
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
    if (j->filled[k])
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
    return j->o->values(j->o->ud, i, j->net->param[k].v, j->err);
}

static mango_status fit_all(fit_job *j)
{
    const mango_net *net = j->net;
    mango_match *m = j->m;
    for (int i = 0; i < net->n_params; i++)
        j->sorted[i] = net->param[i].name;
    qsort((void *)j->sorted, (size_t)net->n_params, sizeof *j->sorted, fit_by_name);
    MGI_TRY(fit_fit(j));
    for (mango_idx i = 0; i < j->o->n; i++)
        MGI_TRY(fit_one(j, i));
    for (int k = 0; k < net->n_params; k++)
        if (!j->filled[k]) {
            m->missing++;
            fit_line(m, "missing", net->param[k].name, net->param[k].rank,
                       net->param[k].shape, NULL);
        }
    if (m->text.bad)
        return mgi_fail(j->err, MANGO_E_MEM, "no memory for a report");
    if (!m->missing && !m->left && !m->shape)
        return MANGO_OK;
    return mgi_fail(j->err, MANGO_E_SHAPE,
                    "does not fit %s: of %d parameters %td missing and %td of the wrong shape, "
                    "%td tensors left over",
                    net->arch[0] ? net->arch : "the graph", net->n_params, m->missing, m->shape,
                    m->left);
}

mango_status mango_net_match(mango_net *net, const mango_offers *offers, mango_match **match,
                             mango_err *err)
{
    mango_offers o = {sizeof o, 0, NULL, NULL, NULL, NULL};
    MGI_CHECK(err, net && match, "mango_net_match: a net and a place for the report expected");
    *match = NULL;
    MGI_TRY(mgi_options_in(&o, sizeof o, offers, "mango_net_match", err));
    MGI_CHECK(err, o.n >= 0 && (o.n == 0 || (o.offer && o.values)),
              "mango_net_match: tensors and a way to their values expected");
    fit_job j = {net, &o, NULL, NULL, NULL, err};
    mango_status st = MANGO_E_MEM;
    j.m = mgi_new(&net->al, 1, sizeof *j.m);
    j.sorted = mgi_new(&net->al, net->n_params, sizeof *j.sorted);
    j.filled = mgi_new(&net->al, net->n_params, 1);
    if (j.m) {
        j.m->al = net->al;
        mgi_str_init(&j.m->text, &net->al);
    }
    if (j.m && j.sorted && j.filled && mgi_net_alloc_params(net) >= 0)
        st = fit_all(&j);
    else
        mgi_fail(err, st, "no memory to match names");
    mgi_del(&net->al, (void *)j.sorted, net->n_params, sizeof *j.sorted);
    mgi_del(&net->al, j.filled, net->n_params, 1);
    *match = j.m;
    return st;
}

mango_status mango_offers_defaults_sized(mango_offers *o, size_t size)
{
    const mango_offers own = {sizeof own, 0, NULL, NULL, NULL, NULL};
    return mgi_options_out(o, size, &own, sizeof own);
}

mango_status mango_match_get_sized(const mango_match *m, mango_match_info *info,
                                   size_t size)
{
    MGI_REQUIRE(m && info);
    const mango_match_info own = {m->strip, m->add,     m->filled, m->rules,
                                  m->ignored, m->missing, m->left,   m->shape};
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
