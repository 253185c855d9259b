/* zoo_infer.c - what a specification leaves open, from the shapes of tensors: which of its
 * parameters an architecture's names find tells its stem, width, classes and head.
 *
 * Nothing is guessed for good: a completed specification is built, and every name and shape
 * of it has to fit.
 * SPDX-License-Identifier: MIT */
#include "match_view.h"
#include "zoo.h"
#include <stdio.h>

enum { INFER_TEXT = 512 };

/* A parameter and the tensor that has its name, after the prefix. */
typedef struct infer_job {
    const mango_net *net;
    const mango_offers *o; /* of the view */
    char spec[INFER_TEXT]; /* under way   */
} infer_job;

static int infer_has(const char *spec, const char *key)
{
    const size_t n = strlen(key);
    for (const char *p = strchr(spec, ','); p; p = strchr(p + 1, ','))
        if (!strncmp(p + 1, key, n) && p[1 + n] == '=')
            return 1;
    return 0;
}

static void infer_set(infer_job *j, const char *key, mango_idx v)
{
    const size_t at = strlen(j->spec);
    if (!infer_has(j->spec, key))
        snprintf(j->spec + at, sizeof j->spec - at, ",%s=%td", key, v);
}

/* The tensor whose name ends in a parameter's, whole parts; the shortest. NULL: none. */
static const mango_offer *infer_find(const infer_job *j, const char *name)
{
    const mango_offer *best = NULL;
    const size_t k = strlen(name);
    for (mango_idx i = 0; i < j->o->n; i++) {
        const mango_offer *t = &j->o->offer[i];
        const size_t n = strlen(t->name);
        if (n >= k && !strcmp(t->name + n - k, name) &&
            (n == k || t->name[n - k - 1] == '.') && (!best || n < strlen(best->name)))
            best = t;
    }
    return best;
}

static int infer_is(const char *spec, const char *family)
{
    return !strncmp(spec, family, strlen(family));
}

/* The first convolution: its kernel is the stem, its channels in and out. */
static void infer_stem(infer_job *j, mgi_kind kind)
{
    const mango_net *net = j->net;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *q = &net->node[i];
        if (q->kind != kind || q->weight < 0)
            continue;
        const mgi_param *p = &net->param[q->weight];
        const mango_offer *t = infer_find(j, p->name);
        if (!t || t->rank != 4)
            return;
        const mgi_node *in = &net->node[net->input];
        const size_t at = strlen(j->spec);
        if (t->shape[1] != p->shape[1] && !infer_has(j->spec, "in"))
            snprintf(j->spec + at, sizeof j->spec - at, ",in=%tdx%tdx%td", t->shape[1],
                     in->H, in->W);
        if (p->rank == 4 && t->shape[2] != p->shape[2] &&
            (t->shape[2] == 3 || t->shape[2] == 7) && !infer_has(j->spec, "stem"))
            infer_set(j, "stem", t->shape[2]);
        if (t->shape[0] != p->shape[0] && !infer_has(j->spec, "width")) {
            const size_t end = strlen(j->spec);
            snprintf(j->spec + end, sizeof j->spec - end, ",width=%.9g",
                     (double)t->shape[0] / (double)p->shape[0]);
        }
        return;
    }
}

/* Rows (or columns) of a parameter of this name, as the key. */
static void infer_size(infer_job *j, const char *param, int axis, const char *key)
{
    const mango_offer *t = infer_find(j, param);
    const int k = mgi_param_find(j->net, param);
    if (t && t->rank == 2 && (k < 0 || t->shape[axis] != j->net->param[k].shape[axis]))
        infer_set(j, key, t->shape[axis]);
}

/* The output's linear layer: the classes. */
static void infer_classes(infer_job *j)
{
    const mgi_node *q = NULL;
    for (int i = 0; i < j->net->n_nodes; i++)
        if (j->net->node[i].kind == MGI_LINEAR)
            q = &j->net->node[i];
    if (q && q->weight >= 0)
        infer_size(j, j->net->param[q->weight].name, 0, "classes");
}

/* VGGs of small pictures: one linear layer, or smaller ones, behind maps of one pixel. */
static void infer_vgg(infer_job *j)
{
    const mango_offer *first = infer_find(j, "classifier.0.weight");
    const mango_offer *one = infer_find(j, "classifier.weight"), *t = first ? first : one;
    if (!t || t->rank != 2)
        return;
    if (!first)
        infer_set(j, "hidden", 0);
    else if (t->shape[0] != 4096)
        infer_set(j, "hidden", t->shape[0]);
    if (t->shape[1] == 512)
        infer_set(j, "pool", 1);
}

/* Discriminators whose weights PyTorch's spectral_norm keeps in parts. */
static void infer_divided(infer_job *j, const mgi_view *view)
{
    for (mango_idx i = 0; i < j->o->n; i++)
        if (mgi_view_spectral(view, i)) {
            infer_set(j, "sn", 0);
            return;
        }
}

/* All that this family's keys can say. */
static void infer_keys(infer_job *j, const mgi_view *view)
{
    if (infer_is(j->spec, "vgg")) {
        infer_vgg(j);
    } else if (infer_is(j->spec, "vqvae")) {
        infer_size(j, "_vq_vae._embedding.weight", 0, "codes");
        infer_size(j, "_vq_vae._embedding.weight", 1, "dim");
        const mango_offer *c = infer_find(j, "_encoder._conv_2.weight");
        if (c && c->rank == 4)
            infer_set(j, "hidden", c->shape[0]);
        const mango_offer *in = infer_find(j, "_encoder._conv_1.weight");
        if (in && in->rank == 4 && in->shape[1] != 3 && !infer_has(j->spec, "in")) {
            const size_t at = strlen(j->spec);
            snprintf(j->spec + at, sizeof j->spec - at, ",in=%tdx32x32", in->shape[1]);
        }
        return;
    } else if (infer_is(j->spec, "sngan") && !infer_is(j->spec, "sngan_dsc")) {
        infer_size(j, "l1.weight", 1, "latent");
        return; /* the rest of its sizes is said by nothing alone */
    } else if (infer_is(j->spec, "sngan_dsc")) {
        infer_divided(j, view);
    } else if (infer_is(j->spec, "snn_conv")) {
        infer_size(j, "features.linear1.weight", 0, "hidden");
    }
    infer_stem(j, MGI_CONV);
    if (!infer_is(j->spec, "sngan"))
        infer_classes(j);
}

/* Names of the parameters that the net has, as those tensors call them. */
static mango_status infer_try(const char *spec, const mango_offers *o, int *fits,
                              mango_err *err)
{
    mango_net *net = NULL;
    mango_match_info info;
    *fits = 0;
    mango_err sub = {""};
    mango_status st = mango_net_zoo(&net, spec, NULL, &sub);
    if (st == MANGO_E_MEM)
        return mgi_fail(err, st, "%s", sub.text);
    if (st < 0)
        return MANGO_OK;
    st = mango_net_match_try(net, o, &info, err);
    *fits = st == MANGO_OK || (st == MANGO_E_SHAPE && !info.missing && !info.shape);
    mango_net_destroy(net);
    return st == MANGO_E_MEM ? st : MANGO_OK;
}

/* One round: what the specification so far leaves open. */
static mango_status infer_round(infer_job *j, const mango_offers *o, mango_err *err)
{
    mango_net *net = NULL;
    mgi_view *view = NULL;
    MGI_TRY(mango_net_zoo(&net, j->spec, NULL, err));
    const mango_status st = mgi_view_new(&view, net, o, err);
    if (st >= 0) {
        j->net = net;
        j->o = mgi_view_offers(view);
        infer_keys(j, view);
    }
    mgi_view_free(view);
    mango_net_destroy(net);
    return st;
}

mango_status mango_net_zoo_infer(const char *spec, const mango_offers *o, char *out,
                                 mango_idx cap, int *fits, mango_err *err)
{
    infer_job j;
    mango_err sub = {""};
    MGI_CHECK(err, spec && o && out && fits, "mango_net_zoo_infer: a NULL argument");
    memset(&j, 0, sizeof j);
    *fits = 0;
    if (!mgi_copy(j.spec, INFER_TEXT, spec) || !mgi_copy(out, cap, spec))
        return mgi_fail(err, MANGO_E_LIMIT, "a specification of over %td bytes", cap - 1);
    MGI_TRY(infer_try(spec, o, fits, err));
    if (*fits)
        return MANGO_OK;
    for (int round = 0; round < 2; round++) { /* a stem of its own has names of its own */
        const mango_status st = infer_round(&j, o, &sub);
        if (st == MANGO_E_MEM)
            return mgi_fail(err, st, "%s", sub.text);
        if (st < 0)
            return MANGO_OK;
    }
    MGI_TRY(infer_try(j.spec, o, fits, err));
    if (*fits)
        mgi_copy(out, cap, j.spec);
    return MANGO_OK;
}

mango_status mango_net_zoo_fits(const mango_offers *o, char *out, mango_idx cap,
                                mango_idx *n, mango_err *err)
{
    char spec[INFER_TEXT];
    size_t at = 0;
    MGI_CHECK(err, o && out && cap > 0 && n, "mango_net_zoo_fits: a NULL argument");
    *n = 0;
    out[0] = 0;
    for (mango_idx i = 0; mgi_zoo_at(i); i++) {
        int fits;
        MGI_TRY(mango_net_zoo_infer(mgi_zoo_at(i), o, spec, INFER_TEXT, &fits, err));
        if (!fits || !strcmp(mgi_zoo_at(i), "densenet")) /* densenet161 is the same */
            continue;
        if (at + strlen(spec) + 2 <= (size_t)cap)
            at +=
                (size_t)snprintf(out + at, (size_t)cap - at, "%s%s", *n ? "\n" : "", spec);
        ++*n;
    }
    return MANGO_OK;
}
