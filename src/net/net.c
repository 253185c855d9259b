/* net.c - the public face of a network: names, parameters, metadata, filling.
 * SPDX-License-Identifier: MIT */
#include "net.h"
#include "../base/file.h"
#include "../base/real.h"
#include "graph.h"
#include <math.h>

mango_status mango_net_parse(mango_net **net, const char *text, mango_idx len,
                             const mango_alloc *al, mango_err *err)
{
    MGI_CHECK(err, net && text, "mango_net_parse: net or text is NULL");
    return mgi_graph_parse(net, text, len, al, err);
}

static mango_idx net_raw_bytes(const mgi_tensor *t)
{
    return t->count * mgi_dtype_size(t->dtype);
}

/* ---- layers ---------------------------------------------------------------- */

const char *mango_net_error(const mango_net *net)
{
    return net ? net->err.text : NULL;
}

mango_idx mango_net_layers(const mango_net *net)
{
    return net ? net->n_nodes : -1;
}

static mango_idx net_trained(const mango_net *n, int param)
{
    return param < 0 || n->param[param].is_buffer ? 0 : n->param[param].count;
}

/* Of one layer. */
static mango_idx net_layer_params(const mango_net *net, const mgi_node *q)
{
    mango_idx n = net_trained(net, q->weight) + net_trained(net, q->bias_p);
    for (int c = 0; c < MGI_CELLS; c++)
        n += net_trained(net, q->cell[c]);
    return n;
}

mango_status mango_net_layer_sized(const mango_net *net, mango_idx i, mango_layer *out,
                                   size_t size)
{
    MGI_REQUIRE(net && out && i >= 0 && i < net->n_nodes);
    const mgi_node *q = &net->node[i];
    const mango_layer l = {.name = q->name,
                           .kind = mgi_kind_name(q->kind),
                           .C = q->C,
                           .H = q->H,
                           .W = q->W,
                           .spiking = mgi_node_spikes(q),
                           .params = net_layer_params(net, q),
                           .timed = q->kind == MGI_LIF || q->spiking_input,
                           .inputs = q->n_in,
                           .macs = mgi_node_macs(net, (int)i, 1),
                           .macs_inside = mgi_node_macs(net, (int)i, 0),
                           .lif = q->kind == MGI_LIF ? &q->lif : NULL,
                           .codes = q->kind == MGI_VQ ? q->codes : 0};
    mgi_info_out(out, size, &l, sizeof l);
    return MANGO_OK;
}

mango_idx mango_net_layer_input(const mango_net *net, mango_idx i, mango_idx k)
{
    if (!net || i < 0 || i >= net->n_nodes || k < 0 || k >= net->node[i].n_in)
        return -1;
    return net->node[i].in[k];
}

/* Windows of k values, d apart, that the place `at` of an axis is in, `places` of them
 * `s` apart. */
static double net_windows(mango_idx at, mango_idx places, mango_idx k, mango_idx d, mango_idx s,
                          mango_idx pad)
{
    double n = 0;
    for (mango_idx t = 0; t < places; t++) {
        const mango_idx in = at - t * s + pad;
        n += in >= 0 && in < k * d && in % d == 0;
    }
    return n;
}

double mango_net_layer_uses(const mango_net *net, mango_idx i, mango_idx y, mango_idx x)
{
    if (!net || i < 0 || i >= net->n_nodes || y < 0 || x < 0)
        return 0;
    const mgi_node *q = &net->node[i];
    const mgi_conv *c = &q->conv;
    if (q->kind == MGI_LINEAR) /* every input meets every output */
        return (double)c->O;
    if (q->kind == MGI_CONVT)
        return (double)(c->O / c->groups) * c->kh * c->kw;
    if (q->kind != MGI_CONV)
        return 0;
    return (double)(c->O / c->groups) * net_windows(y, c->OH, c->kh, c->dh, c->sh, c->ph) *
           net_windows(x, c->OW, c->kw, c->dw, c->sw, c->pw);
}

mango_status mango_net_get_sized(const mango_net *net, mango_net_info *info, size_t size)
{
    MGI_REQUIRE(net && info);
    mango_net_info o = {.arch = net->arch,
                        .layers = net->n_nodes,
                        .params = net->n_params,
                        .metas = net->n_meta,
                        .input = net->input,
                        .output = net->output,
                        .latent_classes = mgi_net_class_softmax(net),
                        .T = net->T,
                        .out_scale = net->out_scale,
                        .out_shift = net->out_shift,
                        .macs = mango_net_macs(net, 0)};
    for (int c = 0; c < 3; c++) {
        o.mean[c] = net->mean[c];
        o.std[c] = net->std[c];
    }
    for (int i = 0; i < net->n_nodes; i++)
        o.spiking |= net->node[i].kind == MGI_LIF;
    mgi_info_out(info, size, &o, sizeof o);
    return MANGO_OK;
}

double mango_net_macs(const mango_net *net, mango_idx T)
{
    double sum = 0;
    if (!net)
        return 0;
    const double steps = (double)(T > 0 ? T : net->T);
    for (int i = 0; i < net->n_nodes; i++)
        sum += mgi_node_macs(net, i, 1) * (net->node[i].spiking_input ? steps : 1.0);
    return sum;
}

mango_status mango_net_set_normalization(mango_net *net, const float mean[3],
                                         const float std[3])
{
    MGI_REQUIRE(net);
    MGI_CHECK(&net->err, mean && std, "mean or std is NULL");
    for (int c = 0; c < 3; c++)
        MGI_CHECK(&net->err,
                  mgi_is_finite((double)mean[c]) && mgi_is_finite((double)std[c]) && std[c] > 0,
                  "channel %d: mean %g, std %g; expected numbers, std above 0", c,
                  (double)mean[c], (double)std[c]);
    for (int c = 0; c < 3; c++) {
        net->mean[c] = mean[c];
        net->std[c] = std[c];
    }
    return MANGO_OK;
}

mango_status mango_net_set_range(mango_net *net, float scale, float shift)
{
    MGI_REQUIRE(net);
    MGI_CHECK(&net->err,
              mgi_is_finite((double)scale) && mgi_is_finite((double)shift) && scale != 0,
              "out_scale %g, out_shift %g: expected numbers, scale not 0", (double)scale,
              (double)shift);
    net->out_scale = scale;
    net->out_shift = shift;
    return MANGO_OK;
}

mango_idx mango_net_text(const mango_net *net, char *text, mango_idx cap)
{
    mgi_str s;
    if (!net || cap < 0 || (cap > 0 && !text))
        return -1;
    mgi_str_init(&s, &net->al);
    return mgi_str_out(&s, mgi_graph_write(net, &s), text, cap);
}

mango_status mango_net_find(const mango_net *net, const char *layer, mango_idx *i,
                            mango_err *err)
{
    char near[160] = "";
    MGI_CHECK(err, net && layer && i, "mango_net_find: a NULL argument");
    const int at = mgi_net_find(net, layer);
    if (at >= 0) {
        *i = at;
        return MANGO_OK;
    }
    const char **names = mgi_new(&net->al, net->n_nodes, sizeof *names);
    if (!names)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the names of layers");
    for (int k = 0; k < net->n_nodes; k++)
        names[k] = net->node[k].name;
    mgi_near(layer, net->n_nodes, names, near, (mango_idx)sizeof near);
    mgi_del(&net->al, names, net->n_nodes, sizeof *names);
    return mgi_fail(err, MANGO_E_NAME, "no layer '%.60s'%s%s", layer, near[0] ? "; near: " : "",
                    near);
}

mango_idx mango_net_steps(const mango_net *net)
{
    return net ? net->T : -1;
}

float *mango_net_param(mango_net *net, const char *name, int *rank, mango_idx shape[4])
{
    const int i = net && name ? mgi_param_find(net, name) : -1;
    if (i < 0 || mgi_net_alloc_params(net) < 0)
        return NULL;
    if (rank)
        *rank = net->param[i].rank;
    for (int k = 0; shape && k < 4; k++)
        shape[k] = net->param[i].shape[k];
    return net->param[i].v;
}

mango_idx mango_net_params(const mango_net *net)
{
    return net ? net->n_params : -1;
}

mango_status mango_net_param_at_sized(const mango_net *net, mango_idx i, mango_param *out,
                                      size_t size)
{
    MGI_REQUIRE(net && out && i >= 0 && i < net->n_params);
    const mgi_param *q = &net->param[i];
    mango_param p = {.name = q->name,
                     .rank = q->rank,
                     .count = q->count,
                     .trained = !q->is_buffer,
                     .values = q->v};
    for (int k = 0; k < 4; k++)
        p.shape[k] = k < q->rank ? q->shape[k] : 1;
    mgi_info_out(out, size, &p, sizeof p);
    return MANGO_OK;
}

mango_idx mango_net_borrow(mango_net *to, const mango_net *from)
{
    mango_idx set = 0;
    if (!to || !from || mgi_net_alloc_params(to) < 0)
        return -1;
    for (int i = 0; i < to->n_params; i++) {
        mgi_param *a = &to->param[i];
        const int k = mgi_param_find(from, a->name);
        const mgi_param *b = k < 0 ? NULL : &from->param[k];
        int same = b && b->v && b->rank == a->rank;
        for (int r = 0; same && r < a->rank; r++)
            same = b->shape[r] == a->shape[r];
        if (!same)
            continue;
        memcpy(a->v, b->v, (size_t)a->count * sizeof(float));
        set++;
    }
    return set;
}

/* ---- filling by formula ---------------------------------------------------- */

/* u_i = (z >> 40)/2^23 - 1 with z = splitmix64's output i+1 of the stream that
 * starts at fnv1a64(name) xor seed * golden. */
void mango_fill_u(const char *name, uint64_t seed, mango_idx n, float *u)
{
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    uint64_t s = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++)
        s = (s ^ (unsigned char)*p) * 0x100000001b3u;
    s ^= seed * golden;
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        uint64_t z = s + ((uint64_t)i + 1) * golden;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        u[i] = (float)((double)(z >> 40) / 8388608.0 - 1.0);
    }
}

static int net_ends(const char *name, const char *tail)
{
    const size_t n = strlen(name), k = strlen(tail);
    return n >= k && !strcmp(name + n - k, tail);
}

/* value = a + b u, the table of the reference outputs. */
static void net_fill_one(mgi_param *p, int transposed, uint64_t seed, double gain)
{
    double a = 0, b;
    if (net_ends(p->name, "running_mean") || net_ends(p->name, "bias"))
        b = 0.1;
    else if (net_ends(p->name, "running_var")) {
        a = 1;
        b = 0.25;
    } else if (net_ends(p->name, "_embedding.weight"))
        b = 1;
    else if (net_ends(p->name, ".beta") || net_ends(p->name, ".alpha")) {
        a = 0.8;
        b = 0.1;
    } else if (net_ends(p->name, ".tau")) {
        a = 2;
        b = 0.1;
    } else if (p->rank == 1 || net_ends(p->name, ".threshold")) {
        a = 1;
        b = 0.1;
    } else {
        const mango_idx fan = transposed ? p->shape[0] * p->shape[2] * p->shape[3]
                                         : p->count / p->shape[0];
        b = gain * sqrt(6.0 / (double)fan);
    }
    mango_fill_u(p->name, seed, p->count, p->v);
    MGI_OMP(parallel for schedule(static) if (p->count >= MGI_GRAIN))
    for (mango_idx i = 0; i < p->count; i++)
        p->v[i] = (float)(a + b * (double)p->v[i]);
}

/* Room for values of every parameter. */
static mango_status net_values(mango_net *net)
{
    const mango_status st = mgi_net_alloc_params(net);
    if (st == MANGO_E_STATE)
        return mgi_fail(&net->err, st, "the weights were given away");
    return st < 0 ? mgi_fail(&net->err, st, "no memory for the weights") : MANGO_OK;
}

mango_status mango_net_fill(mango_net *net, uint64_t seed, double gain)
{
    MGI_REQUIRE(net);
    MGI_CHECK(&net->err, mgi_is_finite(gain), "gain is not a finite number");
    MGI_TRY(net_values(net));
    for (int i = 0; i < net->n_params; i++)
        net_fill_one(&net->param[i], 0, seed, gain);
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == MGI_CONVT)
            net_fill_one(&net->param[net->node[i].weight], 1, seed, gain);
    return MANGO_OK;
}

void mango_net_give(mango_net *net)
{
    if (net)
        net->given = 1;
}

/* ---- what travels along ---------------------------------------------------- */

const char *mango_net_meta_get(const mango_net *net, const char *key)
{
    for (mango_idx i = 0; net && key && i < net->n_meta; i++)
        if (!strcmp(net->meta[i].key, key))
            return net->meta[i].value;
    return NULL;
}

mango_status mango_net_meta_at(const mango_net *net, mango_idx i, const char **key,
                               const char **value)
{
    MGI_REQUIRE(net && key && value && i >= 0 && i < net->n_meta);
    *key = net->meta[i].key;
    *value = net->meta[i].value;
    return MANGO_OK;
}

static char *net_copy(const mango_alloc *al, const char *z)
{
    const mango_idx n = (mango_idx)strlen(z) + 1;
    char *p = mgi_new(al, n, 1);
    if (p)
        memcpy(p, z, (size_t)n);
    return p;
}

/* Room for one more of n elements; false: no memory. */
static int net_room(const mango_alloc *al, void **p, mango_idx n, mango_idx *cap, size_t size)
{
    if (n < *cap)
        return 1;
    const mango_idx want = *cap ? 2 * *cap : 8;
    void *q = *p ? mgi_resize(al, *p, *cap, want, size) : mgi_new(al, want, size);
    if (!q)
        return 0;
    *p = q;
    *cap = want;
    return 1;
}

mango_status mango_net_meta_set(mango_net *net, const char *key, const char *value)
{
    MGI_REQUIRE(net);
    MGI_CHECK(&net->err, key && value && key[0], "metadata: key or value is missing");
    MGI_CHECK(&net->err, strcmp(key, "mango.graph") && strcmp(key, "mango.extra"),
              "metadata: the key '%s' is reserved", key);
    char *v = net_copy(&net->al, value);
    if (!v)
        return mgi_fail(&net->err, MANGO_E_MEM, "no memory for metadata");
    for (mango_idx i = 0; i < net->n_meta; i++)
        if (!strcmp(net->meta[i].key, key)) {
            mgi_del_text(&net->al, net->meta[i].value);
            net->meta[i].value = v;
            return MANGO_OK;
        }
    void *list = net->meta;
    char *k = net_copy(&net->al, key);
    if (!k || !net_room(&net->al, &list, net->n_meta, &net->cap_meta, sizeof net->meta[0])) {
        mgi_del_text(&net->al, k);
        mgi_del_text(&net->al, v);
        return mgi_fail(&net->err, MANGO_E_MEM, "no memory for metadata");
    }
    net->meta = list;
    net->meta[net->n_meta].key = k;
    net->meta[net->n_meta++].value = v;
    return MANGO_OK;
}

static mango_idx net_extra_index(const mango_net *n, const char *name)
{
    for (mango_idx i = 0; i < n->n_extra; i++)
        if (!strcmp(n->extra[i].name, name))
            return i;
    return -1;
}

MGI_FN const mgi_tensor *mgi_net_extra_get(const mango_net *n, const char *name)
{
    const mango_idx at = net_extra_index(n, name);
    return at < 0 ? NULL : &n->extra[at];
}

MGI_FN void mgi_net_extra_drop(mango_net *n, const char *name)
{
    const mango_idx at = net_extra_index(n, name);
    if (at < 0)
        return;
    mgi_del(&n->al, (void *)(uintptr_t)n->extra[at].raw, net_raw_bytes(&n->extra[at]), 1);
    n->n_extra--;
    memmove(n->extra + at, n->extra + at + 1,
            (size_t)(n->n_extra - at) * sizeof n->extra[0]);
}

MGI_FN mango_status mgi_net_extra_set(mango_net *n, const char *name, mgi_dtype dtype, int rank,
                                      const mango_idx *shape, const void *raw)
{
    mgi_tensor t = {.dtype = dtype, .rank = rank};
    mango_idx bytes;
    MGI_REQUIRE(rank >= 0 && rank <= 8 && strlen(name) <= 256 && !strpbrk(name, "\n\r\t"));
    MGI_REQUIRE(mgi_param_find(n, name) < 0 && mgi_prod(rank, shape, &t.count));
    MGI_REQUIRE(mgi_mul(t.count, mgi_dtype_size(dtype), &bytes));
    mgi_copy(t.name, (mango_idx)sizeof t.name, name);
    for (int i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    unsigned char *copy = mgi_new(&n->al, bytes, 1);
    void *list = n->extra;
    mango_idx at = net_extra_index(n, name);
    if (!copy || !net_room(&n->al, &list, n->n_extra, &n->cap_extra, sizeof n->extra[0])) {
        if (copy)
            mgi_del(&n->al, copy, bytes, 1);
        return MANGO_E_MEM;
    }
    n->extra = list;
    if (at < 0)
        at = n->n_extra++;
    else
        mgi_del(&n->al, (void *)(uintptr_t)n->extra[at].raw, net_raw_bytes(&n->extra[at]), 1);
    if (bytes)
        memcpy(copy, raw, (size_t)bytes);
    t.raw = copy;
    n->extra[at] = t;
    return MANGO_OK;
}
