/* verb_info.c - `mango info`: what a weights file, a network or a checkpoint holds.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "image.h"
#include "info_kinds.h"
#include "info_presets.h"
#include <stdlib.h>

static const cli_doc info_doc = {
    "info", "describe a weights file, a network, a checkpoint",
    "mango info FILE|NAME|zoo:NAME,k=v [options]\n       mango info --presets\n"
    "       mango info --kinds",
    "For a network: its layers with shapes, neuron rules, parameters, normalization and\n"
    "provenance, for a generator its reference codes. For a PyTorch checkpoint, an .npz or a\n"
    "bare .safetensors: its tensors, its dicts of tensors, the architectures that they fit.\n"
    "For an ONNX model: its operators, input and output, and the network that it becomes. For\n"
    "a .npy: its type and shape.\n"
    "--presets, without a FILE: the optimizers of `mango mei`, the numbers of each, and "
    "what\n"
    "they mean. The paper's TT is not quantized and ours is.\n"
    "--kinds, without a FILE: the language of graph texts, the kinds of layers and their\n"
    "keys, as in examples/graph.md. A FILE that is such a text is described, too.\n",
    "  mango info snn\n  mango info zoo:spiking_resnet18,width=0.25 --graph\n"
    "  mango info zoo:snn_conv --plan spiking1 --T 20\n  mango info checkpoint.pt\n"};

static void info_shape(char *buf, size_t cap, int rank, const mango_idx *shape)
{
    size_t n = 0;
    buf[0] = 0;
    for (int i = 0; i < rank && n < cap; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%td", i ? "x" : "", shape[i]);
    if (!rank)
        snprintf(buf, cap, "scalar");
}

static void info_tensor(cli *c, mgi_str *s, int first, const char *name, const char *dtype,
                        int rank, const mango_idx *shape)
{
    char dims[128];
    info_shape(dims, sizeof dims, rank, shape);
    cli_print(c, "  %-52s %-9s %s\n", name, dtype, dims);
    mgi_str_puts(s, first ? "{" : ",{");
    cli_quote(s, "name", name);
    mgi_str_puts(s, ",");
    cli_quote(s, "dtype", dtype);
    mgi_str_puts(s, ",\"shape\":[");
    for (int i = 0; i < rank; i++)
        mgi_str_printf(s, "%s%td", i ? "," : "", shape[i]);
    mgi_str_puts(s, "]}");
}

static mango_status info_npy(cli *c, const char *path, mgi_str *s, mango_err *err)
{
    mango_npy a;
    MGI_TRY(mango_npy_read(&a, path, NULL, err));
    mgi_str_puts(s, "{\"format\":\"npy\",\"tensors\":[");
    info_tensor(c, s, 1, "array", mango_npy_type_name(a.type), a.rank, a.shape);
    mgi_str_puts(s, "]}");
    mango_npy_free(&a);
    return MANGO_OK;
}

/* Of a file without a graph: its dicts of tensors, what lies beside, what it fits. */
static mango_status info_choices(cli *c, const mango_archive *a,
                                 const mango_archive_info *info, mgi_str *s, mango_err *err)
{
    mango_offers o;
    char fits[2048];
    mango_idx n = 0;
    mgi_str_puts(s, ",\"keys\":[");
    for (mango_idx i = 0; mango_archive_choice(a, i); i++) {
        const char *key = mango_archive_choice(a, i);
        if (mango_archive_choices(a) > 1)
            cli_print(c, "tensors under --key '%s'\n", key);
        mgi_str_puts(s, i ? "," : "");
        mgi_json_quote(s, key, (mango_idx)strlen(key));
    }
    mgi_str_puts(s, "],");
    if (*info->beside)
        cli_print(c, "beside them: %s\n", info->beside);
    MGI_TRY(mango_offers_defaults(&o));
    MGI_TRY(mango_archive_offers(a, &o));
    MGI_TRY(mango_net_zoo_fits(&o, fits, (mango_idx)sizeof fits, &n, err));
    if (n)
        cli_print(c, "fits the architecture%s:\n", n > 1 ? "s" : "");
    if (n)
        cli_print_lines(c, fits);
    cli_quote(s, "fits", fits);
    return MANGO_OK;
}

/* A file of tensors; one that holds a graph is left to info_net. */
static mango_status info_tensors(cli *c, const char *path, mgi_str *s, int *has_graph,
                                 mango_err *err)
{
    mango_archive *a = NULL;
    mango_archive_info info;
    mango_tensor t;
    MGI_TRY(mango_archive_open(&a, path, image_codecs(), NULL, err));
    MGI_TRY(mango_archive_get(a, &info));
    *has_graph = info.has_graph;
    const int pt = !strcmp(info.format, "zip") || !strcmp(info.format, "legacy");
    if (pt)
        cli_print(c, "PyTorch checkpoint (%s format), %td tensors%s%s\n", info.format,
                  info.tensors, *info.under ? " under " : "", info.under);
    else if (!info.has_graph)
        cli_print(c, "%s file without a graph, %td tensors\n", info.format, info.tensors);
    if (!info.has_graph)
        mgi_str_printf(s, "{\"format\":\"%s%s\",\"tensors\":[", pt ? "pytorch-" : "",
                       info.format);
    for (mango_idx i = 0; !info.has_graph && i < info.tensors; i++)
        if (mango_archive_tensor(a, i, &t) >= 0)
            info_tensor(c, s, i == 0, t.name, t.dtype, t.rank, t.shape);
    mango_status st = MANGO_OK;
    if (!info.has_graph) {
        mgi_str_puts(s, "]");
        st = info_choices(c, a, &info, s, err);
        mgi_str_puts(s, "}");
    }
    mango_archive_destroy(a);
    return st;
}

/* A constant of a rule, or what it is one of. */
static void info_constant(cli *c, const char *name, float v, int per)
{
    static const char *const of[] = {"", "of the layer", "of each channel",
                                     "of each neuron"};
    if (per)
        cli_print(c, "%s%s %s", *name ? " " : "", name, of[per]);
    else
        cli_print(c, "%s%s %g", *name ? " " : "", name, (double)v);
}

/* What goes beyond the common rules. */
static void info_rule_more(cli *c, const mango_lif *r)
{
    static const char *const back[] = {"", ", own spike back times V", ", all spikes back",
                                       ", spikes back by a convolution"};
    cli_print(c, "%s", back[r->recurrent]);
    if (r->recurrent == MANGO_RECURRENT_ONE)
        info_constant(c, "", r->V, r->V_per);
    if (r->readout_membrane)
        cli_print(c, ", membrane read out");
}

static void info_rule(cli *c, const mango_lif *r)
{
    static const char *const reset[] = {"subtract", "value", "zero", "none"};
    cli_print(c, " ");
    if (r->tau > 0)
        info_constant(c, "tau", r->tau, r->tau_per);
    else
        info_constant(c, "beta", r->beta, r->beta_per);
    if (r->decay_input)
        cli_print(c, " decay_input");
    if (r->leak_apart)
        cli_print(c, " to %g", (double)r->U_leak);
    if (r->order == 2)
        info_constant(c, "alpha", r->alpha, r->alpha_per);
    cli_print(c, " gain %g, fires on U %s", (double)r->input_gain,
              r->fires_on_equal ? ">=" : ">");
    info_constant(c, r->U_thr_per ? "threshold" : "", r->U_thr, r->U_thr_per);
    cli_print(c, ", reset %s", reset[r->reset]);
    if (r->reset == MANGO_RESET_VALUE)
        cli_print(c, " %g", (double)r->U_reset);
    cli_print(c, "%s%s, surrogate %s %g%s", r->reset_delay ? " a step later" : "",
              r->reset_after ? ", after the charge" : "",
              r->surrogate == MANGO_SURROGATE_ATAN ? "atan" : "fast sigmoid",
              (double)r->slope, r->detach_reset ? ", reset detached" : "");
    info_rule_more(c, r);
}

static void info_layers(cli *c, const mango_net *net, mgi_str *s)
{
    mango_layer l;
    mango_idx params = 0;
    mgi_str_puts(s, ",\"layers\":[");
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        mango_net_layer(net, i, &l);
        params += l.params;
        cli_print(c, "  %-36s %-12s %4td x %-3td x %-3td %9td", l.name, l.kind, l.C, l.H,
                  l.W, l.params);
        if (l.lif)
            info_rule(c, l.lif);
        cli_print(c, "\n");
        mgi_str_puts(s, i ? ",{" : "{");
        cli_quote(s, "name", l.name);
        mgi_str_puts(s, ",");
        cli_quote(s, "kind", l.kind);
        mgi_str_printf(s, ",\"shape\":[%td,%td,%td],\"spiking\":%s,\"params\":%td}", l.C,
                       l.H, l.W, l.spiking ? "true" : "false", l.params);
    }
    mgi_str_printf(s, "],\"params\":%td", params);
    cli_print(c, "%td trained values in %td layers\n", params, mango_net_layers(net));
}

/* The text of a net, or of a plan, that is `length` long. */
static mango_status info_text(cli *c, mango_idx length, const mango_net *net,
                              const mango_plan *plan)
{
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!text)
        return MANGO_E_MEM;
    if (plan)
        mango_plan_text(plan, text, length + 1);
    else
        mango_net_text(net, text, length + 1);
    cli_print_lines(c, text);
    free(text);
    return MANGO_OK;
}

static mango_status info_plan(cli *c, const mango_net *net, const char *layer, mango_idx T,
                              mango_err *err)
{
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_reading r = {0, MANGO_READ_MEAN, NULL};
    mango_net_find(net, layer, &r.layer, err);
    mango_plan_defaults(&o);
    o.T = T;
    MGI_TRY(mango_plan_create(&p, net, &o, 1, &r, NULL, err));
    const mango_status st = info_text(c, mango_plan_text(p, NULL, 0), NULL, p);
    mango_plan_destroy(p);
    return st;
}

/* Provenance and extra tensors, as the file has them. */
static void info_meta(cli *c, const mango_net *net, mgi_str *s)
{
    mgi_str_puts(s, ",\"metadata\":{");
    const char *k, *v;
    for (mango_idx i = 0; mango_net_meta_at(net, i, &k, &v) >= 0; i++) {
        char text[1200];
        snprintf(text, sizeof text, "%-18s %s", k, v);
        cli_print(c, "%s\n", text);
        mgi_str_puts(s, i ? "," : "");
        mgi_json_quote(s, k, (mango_idx)strlen(k));
        mgi_str_puts(s, ":");
        mgi_json_quote(s, v, (mango_idx)strlen(v));
    }
    mgi_str_puts(s, "}");
}

/* Of a generator: what an optimizer may start from. Damaged ones are said, no more. */
static void info_reference(cli *c, const mango_net *net, mgi_str *s)
{
    mango_space *space = NULL;
    mango_facts f;
    mango_err err = {""};
    mango_facts_defaults(&f);
    if (mango_space_of(&space, net, NULL, &err) == MANGO_OK)
        mango_space_facts(space, &f);
    else if (!strstr(err.text, "reference_"))
        return; /* no generator */
    if (err.text[0])
        cli_print(c, "reference codes: damaged, %s\n", err.text);
    else if (f.n_codes > 0)
        cli_print(c, "%td reference codes, %td features of each\n", f.n_codes, f.code_dim);
    mgi_str_printf(s, ",\"reference\":{\"codes\":%td,\"features\":%td,", f.n_codes,
                   f.code_dim);
    cli_quote(s, "damage", err.text);
    mgi_str_puts(s, "}");
    mango_space_destroy(space);
}

/* Mean and s.d. of each channel of a picture that is fed; what a picture drawn is. */
static void info_input(cli *c, const mango_net *net)
{
    const mango_net_info f = cli_info(net);
    const mango_idx C = cli_layer(net, f.input).C;
    char list[2][64];
    const float *const v[2] = {f.mean, f.std};
    for (int i = 0; i < 2; i++)
        for (mango_idx k = 0, n = 0; k < (C == 1 ? 1 : 3); k++)
            n += snprintf(list[i] + n, sizeof list[i] - (size_t)n, "%s%g", k ? "," : "",
                          (double)v[i][k]);
    if (C == 1 || C == 3)
        cli_print(c, "input mean %s std %s; ", list[0], list[1]);
    cli_print(c, "rgb = y*%g + %g\n", (double)f.out_scale, (double)f.out_shift);
}

static mango_status info_net(cli *c, const char *what, int graph, const char *plan,
                             mango_idx T, mgi_str *s, mango_err *err)
{
    mango_net *net = NULL;
    mango_idx at;
    MGI_TRY(cli_net(&net, what, cli_is_blank(what) ? "0,1" : NULL, err));
    mango_status st = plan ? mango_net_find(net, plan, &at, err) : MANGO_OK;
    if (st < 0) {
        mango_net_destroy(net);
        return st;
    }
    cli_print(c, "%s: %s, T %td\n", what, cli_info(net).arch, mango_net_steps(net));
    info_input(c, net);
    mgi_str_puts(s, "{");
    cli_quote(s, "arch", cli_info(net).arch);
    mgi_str_printf(s, ",\"T\":%td", mango_net_steps(net));
    info_meta(c, net, s);
    info_reference(c, net, s);
    info_layers(c, net, s);
    mgi_str_puts(s, "}");
    if (graph)
        st = info_text(c, mango_net_text(net, NULL, 0), net, NULL);
    if (st >= 0 && plan)
        st = info_plan(c, net, plan, T, err);
    mango_net_destroy(net);
    return st;
}

int verb_info(int argc, char **argv)
{
    cli c;
    mgi_str s;
    mango_err err = {""};
    mango_status st = MANGO_OK;
    char path[4096];
    const char *plan = NULL;
    int graph = 0, has_graph = 1, presets = 0, kinds = 0;
    int64_t T = 0;
    const cli_opt opt[] = {
        {"--graph", CLI_FLAG, &graph, 0, 0, NULL, "print the network's text form", 0},
        {"--plan", CLI_STR, &plan, 0, 0, "LAYER", "print the plan that reads this layer",
         0},
        {"--T", CLI_INT, &T, 1, 4096, "N", "steps of that plan (default: the network's)",
         0},
        {"--presets", CLI_FLAG, &presets, 0, 0, NULL,
         "print the optimizers and their options", 0},
        {"--kinds", CLI_FLAG, &kinds, 0, 0, NULL,
         "print the kinds of layers of a graph text and their keys", 0},
    };
    int rc = cli_parse(&c, &info_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (rc >= 0)
        return rc;
    if (presets && kinds)
        return cli_usage(&c, "--presets and --kinds exclude each other");
    if (c.n_pos != (presets || kinds ? 0 : 1))
        return cli_usage(&c, presets ? "--presets goes without a FILE"
                             : kinds ? "--kinds goes without a FILE"
                                     : "one FILE expected");
    if (presets || kinds) {
        mgi_str_init(&s, NULL);
        (presets ? info_presets : info_kinds)(&c, &s);
        cli_json(&c, &s);
        mgi_str_free(&s);
        return CLI_OK;
    }
    const char *what = c.pos[0];
    mgi_str_init(&s, NULL);
    const int zoo = cli_is_blank(what);
    if (!zoo)
        st = cli_net_path(what, path, (mango_idx)sizeof path, &err);
    const char kind = zoo || st < 0 ? 's' : cli_kind_of(path);
    if (kind == 'n')
        st = info_npy(&c, path, &s, &err);
    else if (kind == 'o')
        st = cli_onnx_info(&c, path, &s, &err);
    else if (!zoo && st >= 0)
        st = info_tensors(&c, path, &s, &has_graph, &err);
    if (st >= 0 && kind != 'n' && kind != 'o' && has_graph)
        st = info_net(&c, what, graph, plan, T, &s, &err);
    rc = st < 0 ? cli_fail(&c, st, &err) : CLI_OK;
    if (rc == CLI_OK)
        cli_json(&c, &s);
    mgi_str_free(&s);
    return rc;
}
