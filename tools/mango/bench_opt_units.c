/* bench_opt_units.c - the units of `mango bench opt`: lists that are built in, a file, or
 * some of each network, drawn by a rule.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include <stdlib.h>

/* Units that optimizers were developed on. */
static const char bo_dev[] =
    "spiking_resnet18_cifar10 layer1.0.sn1:5\nspiking_resnet18_cifar10 layer2.0.sn1:33\n"
    "spiking_resnet18_cifar10 layer3.1.sn2:40\nspiking_resnet18_cifar10 layer4.1.sn2:17\n"
    "snn_conv_cifar10 spiking0:20\nsnn_conv_cifar10 spiking1:10\n"
    "snn_conv_cifar10 spiking1:3\nsnn_conv_cifar10 spiking2:99\n"
    "resnet18_cifar10 class:6\nresnet18_cifar10 layer1.1.relu2:7\n"
    "resnet18_cifar10 layer3.0.relu1:50\nresnet18_cifar10 layer4.1.relu2:100\n";

/* Units that nobody looked at while developing. They are what
 *     mango bench opt --gen vqvae_cifar10,sngan_cifar10 --net spiking_resnet18_cifar10,
 *         snn_conv_cifar10,resnet18_cifar10 --per-net 8 --T 20
 * draws (see bo_draw), but for the first, sn1:17 there: sn1:16 is the one that stays far
 * below real pictures. */
static const char bo_test[] =
    "spiking_resnet18_cifar10 sn1:16\nspiking_resnet18_cifar10 layer1.0.sn2:59\n"
    "spiking_resnet18_cifar10 layer1.1.sn2:17\nspiking_resnet18_cifar10 layer2.1.sn1:93\n"
    "spiking_resnet18_cifar10 layer3.0.sn1:127\nspiking_resnet18_cifar10 layer3.1.sn2:76\n"
    "spiking_resnet18_cifar10 layer4.0.sn2:204\nspiking_resnet18_cifar10 class:6\n"
    "snn_conv_cifar10 spiking0:145\nsnn_conv_cifar10 spiking0:65\n"
    "snn_conv_cifar10 spiking1:41\nsnn_conv_cifar10 spiking1:8\n"
    "snn_conv_cifar10 spiking2:80\nsnn_conv_cifar10 spiking2:23\n"
    "snn_conv_cifar10 final_spiking:0\nsnn_conv_cifar10 class:5\n"
    "resnet18_cifar10 relu:20\nresnet18_cifar10 layer1.0.relu2:1\n"
    "resnet18_cifar10 layer1.1.relu2:20\nresnet18_cifar10 layer2.1.relu1:4\n"
    "resnet18_cifar10 layer3.0.relu1:123\nresnet18_cifar10 layer3.1.relu2:9\n"
    "resnet18_cifar10 layer4.0.relu2:190\nresnet18_cifar10 class:4\n";

/* ---- one unit, one network --------------------------------------------------------- */

size_t bo_name(const char *p)
{
    size_t n = strcspn(p, ",");
    while (p[n] && p[n + 1 + strcspn(p + n + 1, "=,")] == '=')
        n += 1 + strcspn(p + n + 1, ",");
    return n;
}

/* Index of a network, opened when it is new; -1: failure. */
static int bo_net_at(bo_all *a, const char *name, mango_err *err)
{
    for (int i = 0; i < a->n_net; i++)
        if (!strcmp(a->net[i].name, name))
            return i;
    bo_net *n = a->net + a->n_net;
    if (a->n_net == BO_NETS || !mgi_copy(n->name, BO_NAME, name)) {
        mgi_fail(err, MANGO_E_ARG, "units: at most %d networks, names under %d bytes",
                 BO_NETS, BO_NAME);
        return -1;
    }
    if (cli_net(&n->net, name, cli_is_blank(name) ? a->fill : NULL, err) < 0)
        return -1;
    a->n_net++;
    if (mango_net_digest(n->net, MANGO_DIGEST_ALL, n->digest) < 0) {
        mgi_fail(err, MANGO_E_STATE, "%s: a network with weights expected", name);
        return -1;
    }
    n->T = !cli_info(n->net).spiking ? 1 : a->T ? (mango_idx)a->T : mango_net_steps(n->net);
    return a->n_net - 1;
}

static mango_status bo_unit_add(bo_all *a, const char *net, const char *target,
                                mango_err *err)
{
    if (a->n_unit == BO_UNITS || strlen(target) >= BO_NAME)
        return mgi_fail(err, MANGO_E_ARG, "units: at most %d expected", BO_UNITS);
    bo_unit *u = a->unit + a->n_unit;
    u->net = bo_net_at(a, net, err);
    if (u->net < 0)
        return MANGO_E_ARG;
    strcpy(u->target, target);
    MGI_TRY(mango_target_parse(&u->t, a->net[u->net].net, u->target, err)); /* it keeps it */
    for (int i = 0; i < a->n_unit; i++)
        if (a->unit[i].net == u->net && !strcmp(a->unit[i].target, target))
            return mgi_fail(err, MANGO_E_ARG, "units: %.90s %.90s stands there twice", net,
                            target);
    a->n_unit++;
    return MANGO_OK;
}

/* Lines "NETWORK TARGET"; # begins a remark. */
static mango_status bo_units_text(bo_all *a, const char *name, const char *text,
                                  mango_err *err)
{
    for (int line = 1; *text; line++) {
        char row[512] = "", net[256], target[256], more[2];
        const size_t n = strcspn(text, "\n");
        memcpy(row, text, MGI_MIN(n, sizeof row - 1));
        text += n + (text[n] == '\n');
        row[strcspn(row, "#\r")] = 0;
        const int words = sscanf(row, "%255s %255s %1s", net, target, more);
        if (words <= 0)
            continue;
        if (words != 2)
            return mgi_fail(err, MANGO_E_FORMAT, "%.100s line %d: NETWORK TARGET expected",
                            name, line);
        MGI_TRY(bo_unit_add(a, net, target, err));
    }
    return MANGO_OK;
}

static mango_status bo_units_file(bo_all *a, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *text = NULL;
    mango_idx n = 0;
    MGI_TRY(mgi_file_read(a->units, 1 << 20, &al, &text, &n, err));
    const mango_status st = bo_units_text(a, a->units, (const char *)text, err);
    mgi_del(&al, text, n + 1, 1);
    return st;
}

/* ---- units drawn by a rule ----------------------------------------------------------- */

/* Of each network --per-net units: one of them a class, the others from its spiking
 * layers (its ReLUs, where none spikes), slot s from layer floor(s L / slots) of the L
 * there are, shallow to deep. The number of a unit: the first of a permutation, drawn from
 * stream (seed, purpose, 64 network + slot), that is no unit of the list `dev` and fires
 * for one of BO_RANDOM random pictures of each generator. */
#define BO_STREAM 0x756e6974u /* "unit" */
#define BO_RANDOM 100

static int bo_is_dev(const char *net, const char *target)
{
    char line[2 * BO_NAME + 3];
    snprintf(line, sizeof line, "%s %s\n", net, target);
    return strstr(bo_dev, line) != NULL;
}

/* Layers whose units are drawn: indices into at (cap); how many. */
static int bo_layers(const mango_net *net, mango_idx *at, int cap)
{
    const int spiking = cli_info(net).spiking != 0;
    int n = 0;
    for (mango_idx i = 0; i < mango_net_layers(net) && n < cap; i++) {
        const mango_layer l = cli_layer(net, i);
        if (spiking ? l.spiking : !strcmp(l.kind, "relu"))
            at[n++] = i;
    }
    return n;
}

/* For each channel of a layer: in how many generators it fires for a random picture. */
static mango_status bo_fires(bo_all *a, const bo_net *n, mango_idx layer, mango_target *t,
                             mango_idx C, int *fires, mango_err *err)
{
    mango_objective_options oo;
    double *y = malloc(sizeof *y * (size_t)(BO_RANDOM * C));
    mango_status st = y ? MANGO_OK : MANGO_E_MEM;
    for (mango_idx u = 0; u < C; u++)
        t[u].layer = layer, t[u].unit = u;
    mango_objective_defaults(&oo);
    oo.T = n->T;
    for (int g = 0; g < a->n_gen && st >= 0; g++) {
        const mango_modes m = a->gen[g].info.modes;
        mango_objective *o = NULL;
        mango_idx *I = malloc(sizeof *I * (size_t)(BO_RANDOM * m.d));
        for (mango_idx e = 0; I && e < BO_RANDOM * m.d; e++) {
            mango_rng rng;
            mango_rng_init(&rng, (uint64_t)a->c.seed, BO_STREAM + 1, (uint64_t)e);
            I[e] = mango_rng_int(&rng, m.n[e % m.d]);
        }
        st =
            I ? mango_objective_create_many(&o, a->gen[g].net, n->net, C, t, &oo, NULL, err)
              : MANGO_E_MEM;
        if (st >= 0)
            st = mango_objective_eval_many(o, BO_RANDOM, I, y);
        for (mango_idx u = 0; st >= 0 && u < C; u++) {
            double most = 0.0;
            for (mango_idx k = 0; k < BO_RANDOM; k++)
                most = MGI_MAX(most, y[k * C + u]);
            fires[u] += most > 0.0;
        }
        mango_objective_destroy(o);
        free(I);
    }
    free(y);
    return st;
}

/* The unit of one slot. */
static mango_status bo_draw_slot(bo_all *a, int net, int slot, mango_idx layer,
                                 const char *name, mango_err *err)
{
    const bo_net *n = a->net + net;
    char target[BO_NAME];
    mango_target t;
    mango_rng rng;
    snprintf(target, sizeof target, "%.120s:0", name);
    MGI_TRY(mango_target_parse(&t, n->net, target, err));
    mango_idx *order = calloc((size_t)t.C, sizeof *order);
    mango_target *all = malloc(sizeof *all * (size_t)t.C);
    int *fires = calloc((size_t)t.C, sizeof *fires);
    mango_status st = order && all && fires ? MANGO_OK : MANGO_E_MEM;
    for (mango_idx u = 0; st >= 0 && u < t.C; u++)
        all[u] = t;
    if (st >= 0)
        st = bo_fires(a, n, layer < 0 ? t.layer : layer, all, t.C, fires, err);
    mango_rng_init(&rng, (uint64_t)a->c.seed, BO_STREAM, (uint64_t)(64 * net + slot));
    if (st >= 0)
        mango_rng_perm(&rng, t.C, order);
    const int before = a->n_unit;
    for (mango_idx i = 0; st >= 0 && i < t.C && a->n_unit == before; i++) {
        snprintf(target, sizeof target, "%.120s:%ld", name, (long)order[i]);
        if (fires[order[i]] == a->n_gen && !bo_is_dev(n->name, target) &&
            bo_unit_add(a, n->name, target, NULL) < 0)
            continue; /* drawn for another slot */
    }
    free(order);
    free(all);
    free(fires);
    if (st >= 0 && a->n_unit == before)
        return mgi_fail(err, MANGO_E_ARG, "%.100s: no unit of %.100s is left to draw",
                        n->name, name);
    return st;
}

static mango_status bo_draw(bo_all *a, int net, mango_err *err)
{
    mango_idx layer[256];
    const int L = bo_layers(a->net[net].net, layer, 256), slots = (int)a->per_net - 1;
    for (int s = 0; s < slots && L > 0; s++) {
        const mango_idx at = layer[s * L / slots];
        MGI_TRY(bo_draw_slot(a, net, s, at, cli_layer(a->net[net].net, at).name, err));
    }
    return bo_draw_slot(a, net, slots, -1, "class", err);
}

static mango_status bo_units_draw(bo_all *a, mango_err *err)
{
    char name[BO_NAME];
    for (const char *p = a->nets; *p; p += *p == ',') {
        const size_t n = bo_name(p);
        snprintf(name, sizeof name, "%.*s", (int)MGI_MIN(n, (size_t)BO_NAME - 1), p);
        p += n;
        const int net = bo_net_at(a, name, err);
        if (net < 0)
            return MANGO_E_ARG;
        MGI_TRY(bo_draw(a, net, err));
    }
    return MANGO_OK;
}

mango_status bo_units_read(bo_all *a, mango_err *err)
{
    mango_status st;
    if (a->nets)
        st = bo_units_draw(a, err);
    else if (!strcmp(a->units, "dev"))
        st = bo_units_text(a, "dev", bo_dev, err);
    else if (!strcmp(a->units, "test"))
        st = bo_units_text(a, "test", bo_test, err);
    else
        st = bo_units_file(a, err);
    if (st >= 0 && a->n_unit == 0)
        return mgi_fail(err, MANGO_E_FORMAT, "units: one or more expected");
    return st;
}

#undef BO_STREAM
#undef BO_RANDOM
