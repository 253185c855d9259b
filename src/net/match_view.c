/* match_view.c - names of other programs to those of a net, and weights in parts to whole
 * ones, before prefixes are fitted.
 *   spectral_norm  W = W_orig/(u.W_orig v), rows of W: outputs; as PyTorch in eval mode,
 *                  without a further iteration
 *   weight_norm    W = g v/|v|, |.| over all but the axis where g is not 1
 * SPDX-License-Identifier: MIT */
#include "match_view.h"
#include <math.h>
#include <stdio.h>

enum { VIEW_NAME = 600, VIEW_PARTS = 3 };

typedef enum view_kind { VIEW_PLAIN, VIEW_SPECTRAL, VIEW_NORM, VIEW_GONE } view_kind;
typedef struct view_item {
    mango_idx name; /* offset into names */
    view_kind kind;
    mango_idx part[VIEW_PARTS]; /* offers: the tensor; or W, u, v; or g, v */
    int axis;                   /* of the outputs                          */
} view_item;
struct mgi_view {
    mango_alloc al;
    const mango_net *net;
    const mango_offers *from;
    mango_offers o;
    mango_idx n, cap;
    view_item *item;    /* (cap) */
    mango_offer *offer; /* (cap) */
    mgi_str names;
};

/* ---- names ------------------------------------------------------------------------- */

MGI_FN const char *mgi_name_part(const char *name, const char *part)
{
    const size_t n = strlen(part);
    for (const char *p = name; n && (p = strstr(p, part)) != NULL; p++)
        if ((p == name || p[-1] == '.') && (p[n] == 0 || p[n] == '.'))
            return p;
    return NULL;
}

/* Every part `from` of a name becomes `to`; "": it goes, with its dot. */
static void view_swap(char name[VIEW_NAME], const char *from, const char *to)
{
    char out[VIEW_NAME];
    const char *p, *rest = name;
    size_t used = 0;
    if (!mgi_name_part(name, from))
        return;
    while ((p = mgi_name_part(rest, from)) != NULL) {
        const size_t n = (size_t)(p - rest), k = strlen(to);
        const char *behind = p + strlen(from);
        behind += !*to && *behind == '.';
        if (used + n + k + strlen(behind) >= VIEW_NAME)
            return; /* too long: it keeps its name */
        memcpy(out + used, rest, n);
        memcpy(out + used + n, to, k);
        used += n + k;
        rest = behind;
        if (*rest == '.') /* what follows begins a name of its own */
            out[used++] = *rest++;
    }
    mgi_copy(out + used, (mango_idx)(VIEW_NAME - used), rest);
    if (*out)
        memcpy(name, out, strlen(out) + 1);
}

static int view_net_has(const mango_net *net, const char *part)
{
    for (int i = 0; i < net->n_params; i++)
        if (mgi_name_part(net->param[i].name, part))
            return 1;
    for (int i = 0; i < net->n_nodes; i++)
        if (mgi_name_part(net->node[i].prefix, part))
            return 1;
    return 0;
}

static int view_offers_have(const mango_offers *o, const char *part)
{
    for (mango_idx i = 0; i < o->n; i++)
        if (mgi_name_part(o->offer[i].name, part))
            return 1;
    return 0;
}

/* The last linear layer's own name, as the head is called by many. "": none. */
static const char *view_head(const mango_net *net)
{
    for (int i = net->n_nodes - 1; i >= 0; i--)
        if (net->node[i].kind == MGI_LINEAR) {
            const char *dot = strrchr(net->node[i].prefix, '.');
            return dot ? dot + 1 : net->node[i].prefix;
        }
    return "";
}

/* One renaming of many, as "A=B". */
static int view_split(const char *rule, char a[VIEW_NAME], char b[VIEW_NAME])
{
    const char *eq = strchr(rule, '=');
    if (!eq || eq == rule || (size_t)(eq - rule) >= VIEW_NAME ||
        !mgi_copy(b, VIEW_NAME, eq + 1))
        return 0;
    memcpy(a, rule, (size_t)(eq - rule));
    a[eq - rule] = 0;
    return 1;
}

/* Names of the same layers elsewhere: used when the net has the second and not the first. */
static const char *const view_alias[][2] = {
    {"downsample", "shortcut"},
    {"shortcut", "downsample"},
    {"norm.1", "norm1"},
    {"norm.2", "norm2"},
    {"conv.1", "conv1"},
    {"conv.2", "conv2"},
    {"classifier.1", "classifier.0"},
    {"classifier.4", "classifier.3"},
};
static const char *const view_heads[] = {"fc",          "linear", "classifier", "head",
                                         "last_linear", "output", "logits",     "fc_out"};

/* Does this alias serve? */
static int view_serves(const mgi_view *v, const char *from, const char *to)
{
    return strcmp(from, to) && view_net_has(v->net, to) && !view_net_has(v->net, from) &&
           view_offers_have(v->from, from) && !view_offers_have(v->from, to);
}

typedef struct view_rules {
    const char *pair[40][2];
    int n;
    const char *lead; /* every name begins with it: left to the prefix that is fitted */
} view_rules;

static void view_rule_add(view_rules *r, const char *from, const char *to)
{
    if (r->n < (int)MGI_COUNT(r->pair)) {
        r->pair[r->n][0] = from;
        r->pair[r->n++][1] = to;
    }
}

static int view_all_begin(const mango_offers *o, const char *z)
{
    for (mango_idx i = 0; i < o->n; i++)
        if (strncmp(o->offer[i].name, z, strlen(z)))
            return 0;
    return o->n > 0;
}

/* All renamings that this net and these tensors ask for. */
static void view_rules_of(const mgi_view *v, view_rules *r)
{
    static const char *const wrap[] = {"_orig_mod", "module"};
    const char *head = view_head(v->net);
    r->n = 0;
    r->lead = view_all_begin(v->from, "module.") ? "module." : "";
    for (mango_idx i = 0; i < MGI_COUNT(wrap); i++)
        if (!view_net_has(v->net, wrap[i]))
            view_rule_add(r, wrap[i], "");
    for (mango_idx i = 0; i < MGI_COUNT(view_alias); i++)
        if (view_serves(v, view_alias[i][0], view_alias[i][1]))
            view_rule_add(r, view_alias[i][0], view_alias[i][1]);
    for (mango_idx i = 0; i < MGI_COUNT(view_heads); i++)
        if (*head && view_serves(v, view_heads[i], head)) {
            view_rule_add(r, view_heads[i], head);
            break;
        }
}

static void view_rename(const mgi_view *v, const view_rules *r, const char *name,
                        char out[VIEW_NAME])
{
    char a[VIEW_NAME], b[VIEW_NAME];
    mgi_copy(out, VIEW_NAME, name);
    for (mango_idx i = 0; v->from->rename && v->from->rename[i]; i++)
        if (view_split(v->from->rename[i], a, b))
            view_swap(out, a, b);
    const size_t lead = strncmp(out, r->lead, strlen(r->lead)) ? 0 : strlen(r->lead);
    char rest[VIEW_NAME];
    memcpy(rest, out + lead, strlen(out + lead) + 1);
    for (int i = 0; i < r->n; i++)
        view_swap(rest, r->pair[i][0], r->pair[i][1]);
    mgi_copy(out + lead, (mango_idx)(VIEW_NAME - lead), rest);
}

/* ---- weights in parts ----------------------------------------------------------------- */

static const char *view_name(const mgi_view *v, mango_idx i)
{
    return v->names.p + v->item[i].name;
}

/* The item called stem + tail; -1: none. */
static mango_idx view_find(const mgi_view *v, const char *stem, size_t n, const char *tail)
{
    for (mango_idx i = 0; i < v->n; i++) {
        const char *z = view_name(v, i);
        if (v->item[i].kind == VIEW_PLAIN && !strncmp(z, stem, n) && !strcmp(z + n, tail))
            return i;
    }
    return -1;
}

/* How PyTorch names the parts of a weight: the first of them stands for the whole. */
static const struct {
    view_kind kind;
    const char *part[VIEW_PARTS]; /* W u v, or v g */
} view_forms[] = {
    {VIEW_SPECTRAL, {"weight_orig", "weight_u", "weight_v"}},
    {VIEW_SPECTRAL,
     {"parametrizations.weight.original", "parametrizations.weight.0._u",
      "parametrizations.weight.0._v"}},
    {VIEW_NORM, {"weight_v", "weight_g", NULL}},
    {VIEW_NORM,
     {"parametrizations.weight.original1", "parametrizations.weight.original0", NULL}},
};

/* How many bytes two names have in common at their ends, whole parts only. */
static size_t view_common(const char *a, size_t n, const char *b)
{
    const size_t m = strlen(b);
    size_t k = 0, whole = 0;
    while (k < n && k < m && a[n - k - 1] == b[m - k - 1]) {
        k++;
        if ((k == n || a[n - k - 1] == '.') && (k == m || b[m - k - 1] == '.'))
            whole = k;
    }
    return whole;
}

/* Is the layer that `stem` (n bytes) names best a transposed convolution? */
static int view_transposed(const mango_net *net, const char *stem, size_t n)
{
    size_t best = 0;
    int transposed = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const size_t k = view_common(stem, n, net->node[i].prefix);
        if (k > best && mgi_is_matmul(net->node[i].kind)) {
            best = k;
            transposed = net->node[i].kind == MGI_CONVT;
        }
    }
    return transposed;
}

/* The axis of the outputs: of a transposed convolution the second one. */
static int view_axis(const mgi_view *v, const view_item *it, const char *stem, size_t n)
{
    const mango_offer *w = &v->from->offer[it->part[0]];
    const mango_offer *u = &v->from->offer[it->part[1]];
    if (it->kind == VIEW_SPECTRAL && w->rank > 2 && u->rank == 1)
        return w->shape[0] == w->shape[1] ? view_transposed(v->net, stem, n)
                                          : u->shape[0] == w->shape[1];
    if (it->kind == VIEW_SPECTRAL)
        return 0;
    for (int r = 0; r < u->rank; r++)
        if (u->shape[r] != 1)
            return r;
    return 0;
}

/* Do the parts belong together by their sizes? */
static int view_parts_fit(const mgi_view *v, const view_item *it)
{
    const mango_offer *w = &v->from->offer[it->part[0]], *u = &v->from->offer[it->part[1]];
    mango_idx count, g;
    if (w->rank < 2 || !mgi_prod(w->rank, w->shape, &count) ||
        !mgi_prod(u->rank, u->shape, &g))
        return 0;
    if (it->kind == VIEW_NORM)
        return u->rank == w->rank && g == w->shape[it->axis] && count > 0;
    const mango_offer *z = &v->from->offer[it->part[2]];
    return u->rank == 1 && z->rank == 1 && g == w->shape[it->axis] && g > 0 &&
           z->shape[0] == count / g;
}

/* Item i, when it is the first part of a weight, becomes the whole; the others go. */
static void view_join(mgi_view *v, mango_idx i)
{
    char name[VIEW_NAME];
    mgi_copy(name, VIEW_NAME, view_name(v, i));
    for (mango_idx f = 0; f < MGI_COUNT(view_forms); f++) {
        const char *at = mgi_name_part(name, view_forms[f].part[0]);
        view_item it = v->item[i];
        mango_idx other[VIEW_PARTS] = {i, -1, -1};
        int found = at && at[strlen(view_forms[f].part[0])] == 0;
        for (int p = 1; found && p < VIEW_PARTS && view_forms[f].part[p]; p++) {
            other[p] = view_find(v, name, (size_t)(at - name), view_forms[f].part[p]);
            found = other[p] >= 0;
            it.part[p] = found ? v->item[other[p]].part[0] : -1;
        }
        if (!found)
            continue;
        it.kind = view_forms[f].kind;
        it.axis = view_axis(v, &it, name, (size_t)MGI_MAX(at - name - 1, 0));
        if (!view_parts_fit(v, &it))
            continue;
        it.name = v->names.n;
        mgi_str_put(&v->names, name, at - name);
        mgi_str_put(&v->names, "weight", 7);
        v->item[i] = it;
        for (int p = 1; p < VIEW_PARTS; p++)
            if (other[p] >= 0)
                v->item[other[p]].kind = VIEW_GONE;
        return;
    }
}

/* ---- values ------------------------------------------------------------------------------ */

/* Row r of W along its axis of outputs, flattened: element j of `cols`. */
static mango_idx view_at(const mango_offer *w, int axis, mango_idx r, mango_idx j)
{
    mango_idx inner = 1, at = 0;
    for (int k = w->rank - 1; k >= 0; k--) {
        const mango_idx i = k == axis ? r : j % w->shape[k];
        if (k != axis)
            j /= w->shape[k];
        at += i * inner;
        inner *= w->shape[k];
    }
    return at;
}

/* W/(u.Wv), in place. */
static mango_status view_spectral(const mango_offer *w, int axis, const float *u,
                                  const float *z, float *W, mango_err *err)
{
    mango_idx count = 1;
    double sigma = 0;
    mgi_prod(w->rank, w->shape, &count);
    const mango_idx rows = w->shape[axis], cols = count / rows;
    for (mango_idx r = 0; r < rows; r++) {
        double sum = 0;
        for (mango_idx j = 0; j < cols; j++)
            sum += (double)W[view_at(w, axis, r, j)] * (double)z[j];
        sigma += (double)u[r] * sum;
    }
    if (!(sigma > 0))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: its spectral norm u.Wv is %g, above 0 expected", w->name,
                        sigma);
    for (mango_idx i = 0; i < count; i++)
        W[i] = (float)((double)W[i] / sigma);
    return MANGO_OK;
}

/* g v/|v|, in place of v. */
static mango_status view_norm(const mango_offer *w, int axis, const float *g, float *W,
                              mango_err *err)
{
    mango_idx count = 1;
    mgi_prod(w->rank, w->shape, &count);
    const mango_idx rows = w->shape[axis], cols = count / rows;
    for (mango_idx r = 0; r < rows; r++) {
        double sum = 0;
        for (mango_idx j = 0; j < cols; j++) {
            const double x = (double)W[view_at(w, axis, r, j)];
            sum += x * x;
        }
        if (!(sum > 0))
            return mgi_fail(err, MANGO_E_FORMAT, "%s: output %td has a norm of 0", w->name,
                            r);
        const double scale = (double)g[r] / sqrt(sum);
        for (mango_idx j = 0; j < cols; j++)
            W[view_at(w, axis, r, j)] *= (float)scale;
    }
    return MANGO_OK;
}

/* All values of an offer behind the view, new; NULL after an error. */
static float *view_part(const mgi_view *v, mango_idx i, mango_idx *n, mango_status *st,
                        mango_err *err)
{
    const mango_offer *t = &v->from->offer[i];
    float *x = mgi_prod(t->rank, t->shape, n) ? mgi_new(&v->al, *n, sizeof *x) : NULL;
    *st = x ? v->from->values(v->from->ud, i, x, err)
            : mgi_fail(err, MANGO_E_MEM, "no memory for %s", t->name);
    if (*st >= 0)
        return x;
    mgi_del(&v->al, x, *n, sizeof *x);
    return NULL;
}

static mango_status view_values(void *ud, mango_idx i, float *out, mango_err *err)
{
    const mgi_view *v = (const mgi_view *)ud;
    const view_item *it = &v->item[i];
    const mango_offer *w = &v->from->offer[it->part[0]];
    float *part[2] = {NULL, NULL};
    mango_idx n[2] = {0, 0};
    mango_status st = v->from->values(v->from->ud, it->part[0], out, err);
    const int parts = it->kind == VIEW_SPECTRAL ? 2 : it->kind == VIEW_NORM;
    for (int p = 0; p < parts && st >= 0; p++)
        part[p] = view_part(v, it->part[p + 1], &n[p], &st, err);
    if (st >= 0 && parts == 2)
        st = view_spectral(w, it->axis, part[0], part[1], out, err);
    else if (st >= 0 && parts == 1)
        st = view_norm(w, it->axis, part[0], out, err);
    for (int p = 0; p < 2; p++)
        mgi_del(&v->al, part[p], n[p], sizeof(float));
    return st;
}

/* ---- the view ---- */

static mango_status view_list(mgi_view *v, mango_err *err)
{
    char name[VIEW_NAME];
    view_rules rules;
    view_rules_of(v, &rules);
    for (mango_idx i = 0; i < v->from->n; i++) {
        view_item *it = &v->item[v->n++];
        view_rename(v, &rules, v->from->offer[i].name, name);
        it->name = v->names.n;
        it->kind = VIEW_PLAIN;
        it->part[0] = i;
        mgi_str_put(&v->names, name, (mango_idx)strlen(name) + 1);
    }
    for (mango_idx i = 0; i < v->n && !v->names.bad; i++)
        if (v->item[i].kind == VIEW_PLAIN && strstr(view_name(v, i), "weight"))
            view_join(v, i);
    if (v->names.bad)
        return mgi_fail(err, MANGO_E_MEM, "no memory for names");
    mango_idx n = 0;
    for (mango_idx i = 0; i < v->n; i++) {
        if (v->item[i].kind == VIEW_GONE)
            continue;
        v->item[n] = v->item[i];
        v->offer[n] = v->from->offer[v->item[n].part[0]];
        v->offer[n].name = view_name(v, n);
        n++;
    }
    v->n = n;
    return MANGO_OK;
}

MGI_FN mango_status mgi_view_new(mgi_view **view, const mango_net *net,
                                 const mango_offers *o, mango_err *err)
{
    mgi_view *v = mgi_new(&net->al, 1, sizeof *v);
    mango_status st = MANGO_E_MEM;
    *view = NULL;
    if (!v)
        return mgi_fail(err, st, "no memory to match names");
    v->al = net->al;
    v->net = net;
    v->from = o;
    v->cap = o->n;
    mgi_str_init(&v->names, &net->al);
    v->item = mgi_new(&v->al, v->cap, sizeof *v->item);
    v->offer = mgi_new(&v->al, v->cap, sizeof *v->offer);
    if (v->item && v->offer)
        st = view_list(v, err);
    else
        mgi_fail(err, st, "no memory to match names");
    if (st < 0) {
        mgi_view_free(v);
        return st;
    }
    v->o = *o;
    v->o.n = v->n;
    v->o.offer = v->offer;
    v->o.values = view_values;
    v->o.ud = v;
    *view = v;
    return MANGO_OK;
}

MGI_FN const mango_offers *mgi_view_offers(const mgi_view *v)
{
    return &v->o;
}

MGI_FN const char *mgi_view_source(const mgi_view *v, mango_idx i)
{
    return v->from->offer[v->item[i].part[0]].name;
}

MGI_FN int mgi_view_spectral(const mgi_view *v, mango_idx i)
{
    return v->item[i].kind == VIEW_SPECTRAL;
}

MGI_FN void mgi_view_free(mgi_view *v)
{
    if (!v)
        return;
    const mango_alloc al = v->al;
    mgi_str_free(&v->names);
    mgi_del(&al, v->item, v->cap, sizeof *v->item);
    mgi_del(&al, v->offer, v->cap, sizeof *v->offer);
    mgi_del(&al, v, 1, sizeof *v);
}
