/* match.c - do tensors and parameters agree? For files of our own, name by name; for
 * those of other programs after one prefix was fitted, with the scalars of snnTorch's
 * and SpikingJelly's neurons put into the rules of LIF layers.
 * SPDX-License-Identifier: MIT */
#include "match.h"
#include "../base/real.h"
#include "graph.h"
#include <stdio.h>
#include <stdlib.h>

enum { MATCH_LINES = 40, MATCH_PREFIXES = 48, MATCH_PREFIX = 128, MATCH_NAME = 600 };

static int match_ends(const char *z, const char *tail)
{
    const size_t n = strlen(z), k = strlen(tail);
    return n >= k && !strcmp(z + n - k, tail);
}

/* ---- scalars of neurons ------------------------------------------------------ */

/* What a tensor LAYER.FIELD of a LIF layer is. */
typedef enum match_field {
    MATCH_THRESHOLD, /* snnTorch                                              */
    MATCH_BETA,
    MATCH_GRADED,
    MATCH_RESET,     /* 0 subtract, 1 zero, 2 none                            */
    MATCH_PLIF,      /* SpikingJelly's ParametricLIFNode: tau = 1 + exp(-w)   */
    MATCH_STATE,     /* the membrane of the last batch: of no use             */
    MATCH_FIELDS
} match_field;
static const struct {
    const char *tail;
    match_field field;
} match_fields[] = {
    {"threshold", MATCH_THRESHOLD},         {"beta", MATCH_BETA}, {"w", MATCH_PLIF},
    {"graded_spikes_factor", MATCH_GRADED}, {"mem", MATCH_STATE},
    {"reset_mechanism_val", MATCH_RESET},
};

/* The LIF layer whose field `name` is: that with this prefix of parameters, or, when
 * foreign, that with the longest name which this one ends in. -1: none. */
static int match_neuron(const mango_net *n, const char *name, int foreign, match_field *field)
{
    const char *dot = strrchr(name, '.');
    *field = MATCH_FIELDS;
    for (mango_idx k = 0; dot && k < MGI_COUNT(match_fields); k++)
        if (!strcmp(dot + 1, match_fields[k].tail))
            *field = match_fields[k].field;
    if (*field == MATCH_FIELDS)
        return -1;
    const size_t stem = (size_t)(dot - name);
    size_t longest = 0;
    int best = -1;
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *q = &n->node[i];
        const size_t p = strlen(q->prefix), k = strlen(q->name);
        if (q->kind != MGI_LIF)
            continue;
        if (p == stem && !memcmp(q->prefix, name, p))
            return i;
        if (foreign && k > longest && k <= stem && !memcmp(name + stem - k, q->name, k) &&
            (k == stem || name[stem - k - 1] == '.')) {
            longest = k;
            best = i;
        }
    }
    return best;
}

MGI_FN int mgi_is_rule(const mango_net *n, const char *name)
{
    match_field field;
    return match_neuron(n, name, 1, &field) >= 0 && field != MATCH_STATE;
}

MGI_FN int mgi_param_foreign(const mango_net *n, const char *name)
{
    static const char *const unused[] = {"num_batches_tracked", "_ema_w", "_ema_cluster_size"};
    const char *dot = strrchr(name, '.');
    const char *tail = dot ? dot + 1 : name;
    match_field field;
    for (int k = 0; k < (int)MGI_COUNT(unused); k++)
        if (!strcmp(tail, unused[k]))
            return 1;
    return match_neuron(n, name, 0, &field) >= 0;
}

/* One scalar into a rule; a message without the name when that cannot be. */
static mango_status match_set(mango_lif *r, match_field field, double v, mango_err *err)
{
    static const mango_lif_reset resets[3] = {MANGO_RESET_SUBTRACT, MANGO_RESET_ZERO,
                                              MANGO_RESET_NONE};
    switch (field) {
    case MATCH_THRESHOLD: r->U_thr = (float)v; break;
    case MATCH_BETA:
        r->beta = (float)v;
        r->tau = 0;
        break;
    case MATCH_GRADED:
        if (v != 1)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is %g, only spikes of size 1 are supported", v);
        break;
    case MATCH_RESET:
        if (v != 0 && v != 1 && v != 2)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is %g; 0 (subtract), 1 (zero) or 2 (none) expected", v);
        r->reset = resets[(int)v];
        break;
    case MATCH_PLIF:
        if (r->tau <= 0)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is a time constant, and this layer decays by beta");
        r->tau = (float)(1.0 + mgi_exp(-v));
        break;
    default: break;
    }
    return mango_lif_check(r, err);
}

MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err)
{
    mango_err sub = {""};
    match_field field;
    const int i = match_neuron(n, name, 1, &field);
    if (i < 0)
        return 0;
    mango_lif rule = n->node[i].lif;
    *st = match_set(&rule, field, value, &sub);
    if (*st == MANGO_E_ARG)
        *st = MANGO_E_FORMAT;
    if (*st < 0)
        mgi_fail(err, *st, "%s: %s", name, sub.text);
    else
        n->node[i].lif = rule;
    return 1;
}

/* ---- name by name ------------------------------------------------------------ */

static int match_fits(const mgi_param *p, const mgi_offer *o)
{
    if (o->rank == 0 && p->rank == 1)
        return p->shape[0] == 1;
    int same = o->rank == p->rank;
    for (int k = 0; same && k < p->rank; k++)
        same = o->shape[k] == p->shape[k];
    return same;
}

/* A list under way: the first three names, then only a count. */
typedef struct match_list {
    char text[96];
    int n, used;
} match_list;

static void match_note(match_list *l, const char *fmt, ...) MGI_PRINTF(2, 3);
static void match_note(match_list *l, const char *fmt, ...)
{
    va_list ap;
    const int room = (int)sizeof l->text - l->used;
    if (l->n++ >= 3 || room < 8)
        return;
    if (l->used)
        l->used += snprintf(l->text + l->used, (size_t)room, ", ");
    va_start(ap, fmt);
    l->used += vsnprintf(l->text + l->used, sizeof l->text - (size_t)l->used, fmt, ap);
    va_end(ap);
    l->used = MGI_MIN(l->used, (int)sizeof l->text - 1);
}

static void match_shape(char out[48], int rank, const mango_idx *shape)
{
    int used = snprintf(out, 48, rank ? "" : "scalar");
    for (int k = 0; k < rank && used < 40; k++)
        used += snprintf(out + used, (size_t)(48 - used), k ? "x%td" : "%td", shape[k]);
}

static void match_param(const mgi_param *p, mango_idx at, const mgi_offer *o,
                        match_list *missing, match_list *wrong)
{
    char have[48], want[48];
    if (at < 0) {
        match_note(missing, "%s", p->name);
        return;
    }
    if (match_fits(p, o))
        return;
    match_shape(have, o->rank, o->shape);
    match_shape(want, p->rank, p->shape);
    match_note(wrong, "%s is %s, expected %s", p->name, have, want);
}

MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count,
                                     const mgi_offer *offer, mango_idx *map, mango_err *err)
{
    match_list missing = {"", 0, 0}, left = {"", 0, 0}, wrong = {"", 0, 0};
    for (mango_idx k = 0; k < count; k++)
        if (mgi_param_find(n, offer[k].name) < 0 && !mgi_param_foreign(n, offer[k].name))
            match_note(&left, "%s", offer[k].name);
    for (int p = 0; p < n->n_params; p++) {
        mango_idx at = -1;
        for (mango_idx k = 0; at < 0 && k < count; k++)
            if (!strcmp(offer[k].name, n->param[p].name))
                at = k;
        match_param(&n->param[p], at, at < 0 ? NULL : &offer[at], &missing, &wrong);
        if (map)
            map[p] = at;
    }
    if (!missing.n && !left.n && !wrong.n)
        return MANGO_OK;
    char text[3][128] = {"", "", ""};
    if (missing.n)
        snprintf(text[0], sizeof text[0], "%d missing (%s); ", missing.n, missing.text);
    if (wrong.n)
        snprintf(text[1], sizeof text[1], "%d of wrong shape (%s); ", wrong.n, wrong.text);
    if (left.n)
        snprintf(text[2], sizeof text[2], "%d left over (%s); ", left.n, left.text);
    return mgi_fail(err, MANGO_E_SHAPE, "parameters differ: %s%s%sexpected %d of %s", text[0],
                    text[1], text[2], n->n_params, n->arch[0] ? n->arch : "the graph");
}

/* ---- after one prefix was fitted ------------------------------------------------ */

struct mango_match {
    mango_alloc al;
    char strip[MATCH_PREFIX], add[MATCH_PREFIX];
    mango_idx filled, rules, ignored, missing, left, shape;
    mgi_str text; /* lines, each with its NUL */
    mango_idx lines;
};

typedef struct match_job {
    mango_net *net;
    const mango_offers *o;
    mango_match *m;
    const char **sorted;   /* names of the net's parameters */
    unsigned char *filled; /* of each parameter: 1 filled, 2 of the wrong shape */
    mango_err *err;
} match_job;

static int match_by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* strip + name -> add + name; names without the prefix keep theirs. */
static int match_rename(const char *name, const char *strip, const char *add, char *out,
                        mango_idx cap)
{
    const size_t n = strlen(strip), k = strlen(add);
    if (n && !strncmp(name, strip, n) && name[n])
        name += n;
    return mgi_copy(out, cap, add) && mgi_copy(out + k, cap - (mango_idx)k, name);
}

typedef struct match_prefixes {
    char p[MATCH_PREFIXES][MATCH_PREFIX];
    int n;
} match_prefixes;

/* Add the first `bytes` of name to the list, unless it is there or full. */
static void match_prefix_add(match_prefixes *l, const char *name, size_t bytes)
{
    if (bytes >= MATCH_PREFIX || l->n >= MATCH_PREFIXES)
        return;
    for (int i = 0; i < l->n; i++)
        if (strlen(l->p[i]) == bytes && !memcmp(l->p[i], name, bytes))
            return;
    memcpy(l->p[l->n], name, bytes);
    l->p[l->n++][bytes] = 0;
}

/* "a." or "a.b." or "a.b.c.", as `depth` says, that a name begins with. */
static void match_prefix_of(match_prefixes *l, const char *name, int depth)
{
    const char *dot = name;
    for (int k = 0; k < depth && dot; k++)
        dot = strchr(dot + (k > 0), '.');
    if (dot)
        match_prefix_add(l, name, (size_t)(dot - name) + 1);
}

/* How many of the net's parameters are there under this pair of prefixes. */
static mango_idx match_score(const match_job *j, const char *strip, const char *add)
{
    char name[MATCH_NAME];
    const char *p = name;
    mango_idx hits = 0;
    for (mango_idx i = 0; i < j->o->n; i++)
        hits += match_rename(j->o->offer[i].name, strip, add, name, MATCH_NAME) &&
                bsearch(&p, (const void *)j->sorted, (size_t)j->net->n_params, sizeof p,
                        match_by_name) != NULL;
    return hits;
}

/* All prefixes that the names begin with, shortest first, "" before. */
static void match_candidates(const match_job *j, match_prefixes *strips, match_prefixes *adds)
{
    match_prefix_add(strips, "", 0);
    match_prefix_add(adds, "", 0);
    for (int depth = 1; depth <= 3; depth++)
        for (mango_idx i = 0; i < j->o->n; i++)
            match_prefix_of(strips, j->o->offer[i].name, depth);
    for (int depth = 1; depth <= 2; depth++)
        for (int i = 0; i < j->net->n_params; i++)
            match_prefix_of(adds, j->sorted[i], depth);
    if (!j->o->prefix)
        return;
    strips->n = 1; /* the user's, and no other */
    mgi_copy(strips->p[0], MATCH_PREFIX - 1, j->o->prefix);
    if (*j->o->prefix && !match_ends(j->o->prefix, "."))
        memcpy(strips->p[0] + strlen(strips->p[0]), ".", 2);
}

/* The pair of prefixes under which most names fit; the simplest of equals. */
static mango_status match_fit(match_job *j)
{
    match_prefixes *l = mgi_new(&j->m->al, 2, sizeof *l);
    mango_idx best = -1;
    if (!l)
        return mgi_fail(j->err, MANGO_E_MEM, "no memory for prefixes of names");
    match_candidates(j, &l[0], &l[1]);
    for (int a = 0; a < l[1].n && best < j->net->n_params; a++)
        for (int s = 0; s < l[0].n && best < j->net->n_params; s++) {
            const mango_idx hits = match_score(j, l[0].p[s], l[1].p[a]);
            if (hits <= best)
                continue;
            best = hits;
            mgi_copy(j->m->strip, MATCH_PREFIX, l[0].p[s]);
            mgi_copy(j->m->add, MATCH_PREFIX, l[1].p[a]);
        }
    mgi_del(&j->m->al, l, 2, sizeof *l);
    return MANGO_OK;
}

static void match_dims(mgi_str *s, int rank, const mango_idx *shape)
{
    mgi_str_puts(s, "(");
    for (int i = 0; i < rank; i++)
        mgi_str_printf(s, "%s%td", i ? "," : "", shape[i]);
    mgi_str_puts(s, ")");
}

/* One line of what does not fit, up to a screen of them. */
static void match_line(mango_match *m, const char *what, const char *name, int rank,
                       const mango_idx *shape, const mgi_param *want)
{
    if (m->lines > MATCH_LINES)
        return;
    if (m->lines == MATCH_LINES) {
        mgi_str_puts(&m->text, "...");
    } else {
        mgi_str_printf(&m->text, "%s: %s ", what, name);
        match_dims(&m->text, rank, shape);
        if (want) {
            mgi_str_puts(&m->text, ", ");
            match_dims(&m->text, want->rank, want->shape);
            mgi_str_puts(&m->text, " expected");
        }
    }
    mgi_str_put(&m->text, "", 1);
    m->lines++;
}

/* Known to be of no use here. */
static int match_useless(const char *name)
{
    static const char *const tail[] = {"num_batches_tracked", "_vq_vae._ema_w",
                                       "_vq_vae._ema_cluster_size"};
    for (mango_idx i = 0; i < MGI_COUNT(tail); i++)
        if (match_ends(name, tail[i]))
            return 1;
    return 0;
}

/* A tensor that is no parameter: counted as of no use, as part of a rule, or left over. */
static mango_status match_other(match_job *j, mango_idx i, const char *name)
{
    const mango_offer *t = &j->o->offer[i];
    match_field field;
    mango_idx count = 1;
    mango_status st = MANGO_OK;
    float v = 0;
    const int at = match_neuron(j->net, name, 1, &field);
    if (match_useless(t->name) || (at >= 0 && field == MATCH_STATE)) {
        j->m->ignored++;
        return MANGO_OK;
    }
    if (at < 0) {
        j->m->left++;
        match_line(j->m, "left over", t->name, t->rank, t->shape, NULL);
        return MANGO_OK;
    }
    if (!mgi_prod(t->rank, t->shape, &count) || count != 1)
        return mgi_fail(j->err, MANGO_E_UNSUPPORTED,
                        "%s has %td values; one a layer expected, not one a neuron", t->name,
                        count);
    MGI_TRY(j->o->values(j->o->ud, i, &v, j->err));
    mgi_rule_scalar(j->net, name, (double)v, &st, j->err);
    j->m->rules += field != MATCH_GRADED;
    j->m->ignored += field == MATCH_GRADED;
    return st;
}

/* Trailing sizes of 1 may be there or not: (1,C) is not (C), but () is (1). */
static int match_same_shape(const mango_offer *t, const mgi_param *p)
{
    if (t->rank == 0 && p->count == 1)
        return 1;
    if (t->rank != p->rank)
        return 0;
    for (int r = 0; r < t->rank; r++)
        if (t->shape[r] != p->shape[r])
            return 0;
    return 1;
}

/* One tensor: into its parameter, its rule, or the report. */
static mango_status match_one(match_job *j, mango_idx i)
{
    const mango_offer *t = &j->o->offer[i];
    char name[MATCH_NAME];
    int k = -1;
    if (match_rename(t->name, j->m->strip, j->m->add, name, MATCH_NAME))
        k = mgi_param_find(j->net, name);
    if (k < 0)
        return match_other(j, i, name);
    if (j->filled[k])
        return mgi_fail(j->err, MANGO_E_FORMAT,
                        "two tensors for %s after prefixes were fitted", name);
    if (!match_same_shape(t, &j->net->param[k])) {
        j->m->shape++;
        j->filled[k] = 2;
        match_line(j->m, "wrong shape", t->name, t->rank, t->shape, &j->net->param[k]);
        return MANGO_OK;
    }
    j->filled[k] = 1;
    j->m->filled++;
    return j->o->values(j->o->ud, i, j->net->param[k].v, j->err);
}

static mango_status match_all(match_job *j)
{
    const mango_net *net = j->net;
    mango_match *m = j->m;
    for (int i = 0; i < net->n_params; i++)
        j->sorted[i] = net->param[i].name;
    qsort((void *)j->sorted, (size_t)net->n_params, sizeof *j->sorted, match_by_name);
    MGI_TRY(match_fit(j));
    for (mango_idx i = 0; i < j->o->n; i++)
        MGI_TRY(match_one(j, i));
    for (int k = 0; k < net->n_params; k++)
        if (!j->filled[k]) {
            m->missing++;
            match_line(m, "missing", net->param[k].name, net->param[k].rank,
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
    match_job j = {net, &o, NULL, NULL, NULL, err};
    mango_status st = MANGO_E_MEM;
    j.m = mgi_new(&net->al, 1, sizeof *j.m);
    j.sorted = mgi_new(&net->al, net->n_params, sizeof *j.sorted);
    j.filled = mgi_new(&net->al, net->n_params, 1);
    if (j.m) {
        j.m->al = net->al;
        mgi_str_init(&j.m->text, &net->al);
    }
    if (j.m && j.sorted && j.filled && mgi_net_alloc_params(net) >= 0)
        st = match_all(&j);
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
