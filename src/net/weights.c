/* weights.c - self-describing weights files: tensors by their parameter
 * names, the graph's text form under "mango.graph", free metadata beside it.
 * Other tensors are carried along when "mango.extra" lists their names, one a
 * line; any other difference between graph and tensors is refused.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include "safetensors.h"
#include <stdio.h>

/* ---- do tensors and parameters agree? ---------------------------------------- */

static const char *const match_rule[] = {"threshold", "beta", "graded_spikes_factor",
                                         "reset_mechanism_val"};

/* The LIF layer whose rule field `name` is; *field: index into match_rule. */
static int match_rule_node(const mango_net *n, const char *name, int *field)
{
    const char *dot = strrchr(name, '.');
    *field = -1;
    for (int k = 0; dot && k < (int)MGI_COUNT(match_rule); k++)
        if (!strcmp(dot + 1, match_rule[k]))
            *field = k;
    for (int i = 0; *field >= 0 && i < n->n_nodes; i++) {
        const char *p = n->node[i].prefix;
        if (n->node[i].kind == MGI_LIF && strlen(p) == (size_t)(dot - name) &&
            !memcmp(p, name, (size_t)(dot - name)))
            return i;
    }
    return -1;
}

MGI_FN int mgi_param_foreign(const mango_net *n, const char *name)
{
    static const char *const unused[] = {"num_batches_tracked", "_ema_w", "_ema_cluster_size"};
    const char *dot = strrchr(name, '.');
    const char *tail = dot ? dot + 1 : name;
    int field;
    for (int k = 0; k < (int)MGI_COUNT(unused); k++)
        if (!strcmp(tail, unused[k]))
            return 1;
    return match_rule_node(n, name, &field) >= 0;
}

MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err)
{
    mango_err sub;
    int field;
    const int i = match_rule_node(n, name, &field);
    if (i < 0)
        return 0;
    mango_lif rule = n->node[i].lif;
    *st = MANGO_OK;
    if (field == 0)
        rule.U_thr = (float)value;
    else if (field == 1)
        rule.beta = (float)value;
    else if (field == 2 && value != 1)
        *st = mgi_fail(err, MANGO_E_UNSUPPORTED, "%s is %g, only spikes of size 1 are supported",
                       name, value);
    else if (field == 3) /* snnTorch: 0 subtract, 1 zero, 2 none */
        rule.reset = value == 0 ? MANGO_RESET_SUBTRACT : value == 1 ? MANGO_RESET_ZERO
                                                                    : MANGO_RESET_NONE;
    if (*st == MANGO_OK && mango_lif_check(&rule, &sub) < 0)
        *st = mgi_fail(err, MANGO_E_FORMAT, "%s: %s", name, sub.text);
    if (*st == MANGO_OK)
        n->node[i].lif = rule;
    return 1;
}

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

static void match_param(const mgi_param *p, mango_idx at, const mgi_offer *o, match_list *missing,
                        match_list *wrong)
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

MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count, const mgi_offer *offer,
                                     mango_idx *map, mango_err *err)
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

/* ---- load ------------------------------------------------------------------ */

/* Is name one of the lines of list? */
static int load_listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    while (list && *list) {
        const size_t len = strcspn(list, "\n");
        if (len == n && !memcmp(list, name, n))
            return 1;
        list += len + (list[len] == '\n');
    }
    return 0;
}

/* Fill map: parameter -> tensor. Extras are not offered. */
static mango_status load_match(const mango_net *n, const mgi_tensors *f, mango_idx *map,
                               mango_err *err)
{
    const char *extra = mgi_tensors_meta(f, "mango.extra");
    mgi_offer *offer = mgi_new(&n->al, f->n, sizeof *offer);
    mango_idx *at = mgi_new(&n->al, f->n, sizeof *at), count = 0;
    mango_status st = MANGO_E_MEM;
    if (offer && at) {
        for (mango_idx i = 0; i < f->n; i++)
            if (!load_listed(extra, f->t[i].name)) {
                at[count] = i;
                offer[count].name = f->t[i].name;
                offer[count].rank = f->t[i].rank;
                offer[count++].shape = f->t[i].shape;
            }
        st = mgi_params_match(n, count, offer, map, err);
        for (int p = 0; st == MANGO_OK && p < n->n_params; p++)
            map[p] = at[map[p]];
    }
    if (offer)
        mgi_del(&n->al, offer, f->n, sizeof *offer);
    if (at)
        mgi_del(&n->al, at, f->n, sizeof *at);
    return st;
}

/* Is parameter p the weights of matrix products, and nothing else? */
static int load_multiplies(const mango_net *n, int p)
{
    int used = 0;
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *g = &n->node[i];
        if (g->bias_p == p || g->mean_p == p || g->var_p == p || g->sn_u == p ||
            (g->weight == p && !mgi_is_matmul(g->kind)))
            return 0;
        used |= g->weight == p;
    }
    return used;
}

/* stay: weights that are halves are left where the file was read to. */
static mango_status load_values(mango_net *n, const mgi_tensors *f, int stay, mango_err *err)
{
    mango_idx *map = mgi_new(&n->al, n->n_params, sizeof *map);
    if (!map)
        return MANGO_E_MEM;
    mango_status st = load_match(n, f, map, err);
    for (int p = 0; st == MANGO_OK && stay && p < n->n_params; p++) {
        const mgi_tensor *t = &f->t[map[p]];
        if (t->dtype == MGI_F16 && load_multiplies(n, p) && mgi_file_halves_finite(t->count, t->raw))
            n->param[p].half = t->raw;
    }
    if (st == MANGO_OK)
        st = mgi_net_alloc_params(n);
    for (int p = 0; st == MANGO_OK && p < n->n_params; p++)
        if (!n->param[p].half)
            st = mgi_tensor_floats(&f->t[map[p]], 1, n->param[p].v, err);
    mgi_del(&n->al, map, n->n_params, sizeof *map);
    return st;
}

/* Are there weights that were left in the file's bytes? */
static int load_stays(const mango_net *n)
{
    for (int p = 0; p < n->n_params; p++)
        if (n->param[p].half)
            return 1;
    return 0;
}

static mango_status load_rest(mango_net *n, const mgi_tensors *f, mango_err *err)
{
    const char *extra = mgi_tensors_meta(f, "mango.extra"), *key, *value;
    for (mango_idx i = 0; i < f->n; i++)
        if (load_listed(extra, f->t[i].name)) {
            const mgi_tensor *t = &f->t[i];
            const mango_status st =
                mgi_net_extra_set(n, t->name, t->dtype, t->rank, t->shape, t->raw);
            if (st < 0)
                return mgi_fail(err, st, "tensor '%.80s' cannot be carried as an extra", t->name);
        }
    for (mango_idx i = 0; mgi_tensors_meta_at(f, i, &key, &value); i++)
        if (strcmp(key, "mango.graph") && strcmp(key, "mango.extra") && key[0])
            MGI_TRY(mango_net_meta_set(n, key, value));
    return MANGO_OK;
}

static mango_status load_net(mango_net **net, const char *path, int stay, const mango_alloc *al,
                             mango_err *err)
{
    mgi_tensors f;
    mango_err sub = {""};
    mango_net *n = NULL;
    mango_status st;
    *net = NULL;
    MGI_TRY(mgi_tensors_read(&f, path, al, err));
    const char *graph = mgi_tensors_meta(&f, "mango.graph");
    if (!graph) {
        st = mgi_fail(&sub, MANGO_E_FORMAT,
                      "no graph in its metadata (key mango.graph); import it first");
        goto done;
    }
    MGI_TRY_TO(mgi_graph_parse(&n, graph, (mango_idx)strlen(graph), al, &sub));
    MGI_TRY_TO(load_values(n, &f, stay, &sub));
    MGI_TRY_TO(load_rest(n, &f, &sub));
    if (load_stays(n)) {
        n->file = f.image, n->file_size = f.room;
        f.image = NULL;
    }
    n->given = stay;
    *net = n;
    n = NULL;
done:
    mango_net_destroy(n);
    mgi_tensors_free(&f);
    if (st < 0)
        mgi_fail(err, st, "%s: %s", path, sub.text[0] ? sub.text : mango_status_text(st));
    return st;
}

mango_status mango_net_load(mango_net **net, const char *path, const mango_alloc *al,
                            mango_err *err)
{
    MGI_CHECK(err, net && path, "mango_net_load: a NULL argument");
    return load_net(net, path, 0, al, err);
}

mango_status mango_net_open(mango_net **net, const char *path, const mango_alloc *al,
                            mango_err *err)
{
    MGI_CHECK(err, net && path, "mango_net_open: a NULL argument");
    return load_net(net, path, 1, al, err);
}

/* ---- save ------------------------------------------------------------------ */

static mango_status save_meta(const mango_net *n, mgi_tensor_writer *w)
{
    mgi_str s;
    mgi_str_init(&s, &n->al);
    mango_status st = mgi_graph_write(n, &s);
    if (st == MANGO_OK)
        st = mgi_writer_meta(w, "mango.graph", s.p);
    mgi_str_free(&s);
    mgi_str_init(&s, &n->al);
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_str_printf(&s, "%s%s", i ? "\n" : "", n->extra[i].name);
    if (st == MANGO_OK && n->n_extra)
        st = s.bad ? MANGO_E_MEM : mgi_writer_meta(w, "mango.extra", s.p);
    mgi_str_free(&s);
    for (mango_idx i = 0; st == MANGO_OK && i < n->n_meta; i++)
        st = mgi_writer_meta(w, n->meta[i].key, n->meta[i].value);
    return st;
}

/* Vectors (biases, norms) stay F32: they are few, and halves would cost accuracy. */
static mango_status save_tensors(const mango_net *n, mgi_tensor_writer *w, mgi_dtype dtype,
                                 mango_err *err)
{
    for (int i = 0; i < n->n_params; i++) {
        const mgi_param *p = &n->param[i];
        if (!p->v) /* a net that was opened is given away, too */
            return mgi_fail(err, MANGO_E_STATE, "parameter %s %s", p->name,
                            n->given ? "was given away to a plan" : "has no values yet");
        for (mango_idx k = 0; k < p->count; k++)
            if (!(p->v[k] - p->v[k] == 0))
                return mgi_fail(err, MANGO_E_NONFINITE, "parameter %s is NaN or infinite at %td",
                                p->name, k);
        mgi_writer_add(w, p->name, p->rank > 1 ? dtype : MGI_F32, p->rank, p->shape, p->v);
    }
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_writer_add_raw(w, n->extra[i].name, n->extra[i].dtype, n->extra[i].rank,
                           n->extra[i].shape, n->extra[i].raw);
    return MANGO_OK; /* the writer remembers its own failures */
}

mango_status mango_net_save(const mango_net *net, const char *path, const char *dtype,
                            mango_err *err)
{
    MGI_CHECK(err, net && path && dtype, "mango_net_save: a NULL argument");
    mgi_tensor_writer *w = NULL;
    mgi_dtype d;
    if (!mgi_dtype_find(dtype, &d) || (d != MGI_F32 && d != MGI_F16 && d != MGI_BF16))
        return mgi_fail(err, MANGO_E_ARG, "weights are saved as F32, F16 or BF16, not '%.20s'",
                        dtype);
    MGI_TRY(mgi_writer_new(&w, &net->al));
    mango_status st = save_meta(net, w);
    if (st == MANGO_OK)
        st = save_tensors(net, w, d, err);
    if (st == MANGO_OK)
        st = mgi_writer_save(w, path, err);
    mgi_writer_free(w);
    return st;
}
