/* weights.c - self-describing weights files: tensors by their parameter
 * names, the graph's text form under "mango.graph", free metadata beside it.
 * Other tensors are carried along when "mango.extra" lists their names, one a
 * line; any other difference between graph and tensors is refused.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include "safetensors.h"
#include <stdio.h>

/* ---- load ------------------------------------------------------------------ */

/* extra[i]: does a line of "mango.extra" name tensor i? (n bytes, zeroed before.) */
static void load_extras(const mgi_tensors *f, char *extra)
{
    const char *list = mgi_tensors_meta(f, "mango.extra");
    char name[sizeof f->t->name];
    for (size_t len; list && *list; list += len + (list[len] == '\n')) {
        len = strcspn(list, "\n");
        if (len >= sizeof name)
            continue;
        memcpy(name, list, len);
        name[len] = 0;
        const mgi_tensor *t = mgi_tensors_find(f, name);
        if (t)
            extra[t - f->t] = 1;
    }
}

/* The scalars of neuron rules that a state dict holds, into the graph's rules. */
static mango_status load_rules(mango_net *n, const mgi_tensors *f, const char *extra,
                               mango_err *err)
{
    mango_status st = MANGO_OK;
    for (mango_idx i = 0; st == MANGO_OK && i < f->n; i++) {
        const mgi_tensor *t = &f->t[i];
        float v;
        if (extra[i] || !mgi_is_rule(n, t->name) || mgi_param_find(n, t->name) >= 0)
            continue;
        if (t->count != 1)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "%s has %td values, only one for all neurons of a layer is "
                            "supported",
                            t->name, t->count);
        MGI_TRY(mgi_tensor_floats(t, 0, &v, err));
        mgi_rule_scalar(n, t->name, (double)v, &st, err);
    }
    return st;
}

/* What of a rule is given for each neuron becomes a parameter. */
static mango_status load_own(mango_net *n, const mgi_tensors *f, const char *extra,
                             mango_err *err)
{
    const int before = n->n_params;
    int p;
    for (mango_idx i = 0; i < f->n; i++) {
        const mgi_tensor *t = &f->t[i];
        if (!extra[i] && t->count > 1 && mgi_param_find(n, t->name) < 0)
            MGI_TRY(mgi_rule_widen(n, t->name, 0, t->rank, t->shape, &p, err));
    }
    return n->n_params > before ? mgi_net_relist(n, err) : MANGO_OK;
}

/* Fill map: parameter -> tensor. Extras are not offered. */
static mango_status load_match(const mango_net *n, const mgi_tensors *f, const char *extra,
                               mango_idx *map, mango_err *err)
{
    mgi_offer *offer = mgi_new(&n->al, f->n, sizeof *offer);
    mango_idx *at = mgi_new(&n->al, f->n, sizeof *at), count = 0;
    mango_status st = MANGO_E_MEM;
    if (offer && at) {
        for (mango_idx i = 0; i < f->n; i++)
            if (!extra[i]) {
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

/* Values of all parameters. stay: weights that are halves are left in the file. */
static mango_status load_values(mango_net *n, const mgi_tensors *f, const mango_idx *map,
                                int stay, mango_err *err)
{
    for (int p = 0; stay && p < n->n_params; p++) {
        const mgi_tensor *t = &f->t[map[p]];
        if (t->dtype == MGI_F16 && load_multiplies(n, p) &&
            mgi_file_halves_finite(t->count, t->raw))
            n->param[p].half = t->raw;
    }
    MGI_TRY(mgi_net_alloc_params(n));
    for (int p = 0; p < n->n_params; p++)
        if (!n->param[p].half)
            MGI_TRY(mgi_tensor_floats(&f->t[map[p]], 1, n->param[p].v, err));
    for (int i = 0; i < n->n_nodes; i++)
        MGI_TRY(mgi_check_variance(n, i, err));
    return MANGO_OK;
}

/* Are there weights that were left in the file's bytes? */
static int load_stays(const mango_net *n)
{
    for (int p = 0; p < n->n_params; p++)
        if (n->param[p].half)
            return 1;
    return 0;
}

static mango_status load_rest(mango_net *n, const mgi_tensors *f, const char *extra,
                              mango_err *err)
{
    const char *key, *value;
    for (mango_idx i = 0; i < f->n; i++) {
        const mgi_tensor *t = &f->t[i];
        if (!extra[i])
            continue;
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

/* All tensors of the file, into the graph's net. */
static mango_status load_tensors(mango_net *n, const mgi_tensors *f, int stay, mango_err *err)
{
    char *extra = mgi_new(&n->al, f->n, 1);
    mango_idx *map = NULL;
    mango_status st = MANGO_E_MEM;
    if (!extra)
        goto done;
    load_extras(f, extra);
    MGI_TRY_TO(load_own(n, f, extra, err));
    st = MANGO_E_MEM;
    map = mgi_new(&n->al, n->n_params, sizeof *map);
    if (!map)
        goto done;
    MGI_TRY_TO(load_match(n, f, extra, map, err));
    MGI_TRY_TO(load_rules(n, f, extra, err));
    MGI_TRY_TO(load_values(n, f, map, stay, err));
    st = load_rest(n, f, extra, err);
done:
    mgi_del(&n->al, extra, f->n, 1);
    if (map)
        mgi_del(&n->al, map, n->n_params, sizeof *map);
    return st;
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
    MGI_TRY_TO(load_tensors(n, &f, stay, &sub));
    if (load_stays(n)) {
        n->file = f.image;
        n->file_size = f.room;
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
            if (!mgi_is_finite((double)p->v[k]))
                return mgi_fail(err, MANGO_E_NONFINITE,
                                "parameter %s is NaN or infinite at %td", p->name, k);
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
