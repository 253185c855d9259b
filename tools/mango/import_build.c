/* import_build.c - which network a file's tensors are for: a graph, an architecture that
 * their shapes complete, or what the file says itself; and which of its state dicts.
 * SPDX-License-Identifier: MIT */
#include "../../src/base/file.h"
#include "image.h"
#include "import.h"
#include <stdlib.h>

enum { BUILD_SPEC = 512, BUILD_ALL = 2048 };

mango_status import_offers(const mango_archive *file, const import_source *from,
                           mango_offers *o)
{
    MGI_TRY(mango_offers_defaults(o));
    MGI_TRY(mango_archive_offers(file, o));
    o->prefix = from->prefix;
    o->ignore = from->ignore;
    o->rename = from->rename;
    return MANGO_OK;
}

/* ---- a graph ------------------------------------------------------------------------- */

/* Text holds no control bytes but white space; every other file that holds a graph does. */
static int build_is_text(const unsigned char *p, mango_idx n)
{
    for (mango_idx i = 0; i < n && i < 16; i++)
        if (p[i] < 9)
            return 0;
    return n > 0;
}

/* The graph that a file with other content holds. */
static mango_status build_held_graph(const char *path, mango_net **net, mango_err *err)
{
    mango_archive *a = NULL;
    mango_archive_info info;
    mango_status st = mango_archive_open(&a, path, image_codecs(), NULL, err);
    if (st >= 0)
        st = mango_archive_get(a, &info);
    if (st >= 0 && !info.graph)
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: holds no graph", path);
    if (st >= 0)
        st = mango_net_parse(net, info.graph, (mango_idx)strlen(info.graph), NULL, err);
    mango_archive_destroy(a);
    return st;
}

static mango_status build_graph(const char *path, mango_net **net, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_idx n = 0;
    mango_err sub = {""};
    MGI_TRY(mgi_file_read(path, (mango_idx)1 << 30, &al, &p, &n, err));
    const int text = build_is_text(p, n);
    mango_status st =
        text ? mango_net_parse(net, (const char *)p, n, NULL, &sub) : MANGO_OK;
    mgi_del(&al, p, n + 1, 1);
    if (st < 0)
        return mgi_fail(err, st, "%s: %s", path, sub.text);
    return text ? MANGO_OK : build_held_graph(path, net, err);
}

/* ---- an architecture ------------------------------------------------------------------- */

/* NAME[,k=v] and the --set pairs that belong to the architecture. */
static mango_status build_spec(const import_source *from, mgi_str *spec, mango_err *err)
{
    mgi_str_puts(spec, strncmp(from->arch, "zoo:", 4) ? from->arch : from->arch + 4);
    for (int i = 0; from->set[i]; i++)
        MGI_TRY(import_settings(from->set[i], NULL, spec, err));
    return spec->bad ? MANGO_E_MEM : MANGO_OK;
}

static int build_sets(const import_source *from, const char *key)
{
    for (int i = 0; from->set[i]; i++)
        if (strstr(from->set[i], key))
            return 1;
    return 0;
}

/* An architecture for small pictures with 1000 classes was trained on ImageNet. */
static mango_status build_imagenet(const import_source *from, char spec[BUILD_SPEC],
                                   mango_net **net, mango_err *err)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f},
                       std[3] = {0.229f, 0.224f, 0.225f};
    const mango_layer in = cli_layer(*net, cli_info(*net).input);
    if (in.H != 32 || !strstr(spec, "classes=1000") || strstr(spec, ",in="))
        return MANGO_OK;
    const size_t at = strlen(spec);
    mango_net_destroy(*net);
    *net = NULL;
    snprintf(spec + at, BUILD_SPEC - at, ",in=%tdx224x224", in.C);
    MGI_TRY(mango_net_zoo(net, spec, NULL, err));
    return build_sets(from, "mean=") || build_sets(from, "std=")
               ? MANGO_OK
               : mango_net_set_normalization(*net, mean, std);
}

static mango_status build_arch(const import_source *from, const mango_offers *o,
                               mango_net **net, mgi_str *notes, int *fits, mango_err *err)
{
    char spec[BUILD_SPEC];
    mgi_str own;
    mgi_str_init(&own, NULL);
    mango_status st = build_spec(from, &own, err);
    if (st >= 0)
        st = mango_net_zoo_infer(own.p, o, spec, BUILD_SPEC, fits, err);
    if (st >= 0)
        st = mango_net_zoo(net, spec, NULL, err);
    if (st >= 0 && strcmp(own.p, spec)) {
        st = build_imagenet(from, spec, net, err);
        mgi_str_printf(notes, "the tensors' shapes say: %s\n", spec);
    }
    mgi_str_free(&own);
    return st;
}

/* No architecture is named: the only one that fits. */
static mango_status build_any(const import_source *from, const mango_offers *o,
                              mango_net **net, mgi_str *notes, int *fits, mango_err *err)
{
    char all[BUILD_ALL];
    mango_idx n = 0;
    MGI_TRY(mango_net_zoo_fits(o, all, BUILD_ALL, &n, err));
    if (n == 1) {
        import_source named = *from;
        named.arch = all;
        mgi_str_printf(notes, "the only architecture that fits: %s\n", all);
        return build_arch(&named, o, net, notes, fits, err);
    }
    if (!n)
        return mgi_fail(
            err, MANGO_E_NAME,
            "no architecture of the zoo fits; --arch NAME or --graph FILE expected");
    for (char *p = all; *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    return mgi_fail(err, MANGO_E_NAME,
                    "several architectures fit: %.150s; say which by --arch", all);
}

/* ---- together ---------------------------------------------------------------------------- */

/* The network for the set of tensors that is selected; *fits: all of it would be filled. */
static mango_status build_one(mango_archive *file, const import_source *from,
                              mango_net **net, mgi_str *notes, int *fits, mango_err *err)
{
    mango_archive_info info;
    mango_match_info m;
    mango_offers o;
    *fits = 0;
    *net = NULL;
    MGI_TRY(mango_archive_get(file, &info));
    MGI_TRY(import_offers(file, from, &o));
    if (from->graph)
        MGI_TRY(build_graph(from->graph, net, err));
    else if (from->arch)
        return build_arch(from, &o, net, notes, fits, err);
    else if (info.graph)
        MGI_TRY(mango_net_parse(net, info.graph, (mango_idx)strlen(info.graph), NULL, err));
    else
        return build_any(from, &o, net, notes, fits, err);
    const mango_status st = mango_net_match_try(*net, &o, &m, err);
    *fits = st == MANGO_OK || (st == MANGO_E_SHAPE && !m.missing && !m.shape);
    return st == MANGO_E_MEM ? st : MANGO_OK;
}

/* Of several sets of tensors the one that fits, when it is one alone. */
static mango_status build_choose(mango_archive *file, const import_source *from,
                                 mgi_str *notes, mango_err *err)
{
    char all[400] = "";
    size_t at = 0;
    mango_idx fit = -1, n = 0;
    for (mango_idx i = 0; mango_archive_choice(file, i); i++) {
        mango_net *net = NULL;
        mgi_str quiet;
        mango_err sub = {""};
        int fits = 0;
        const char *key = mango_archive_choice(file, i);
        mgi_str_init(&quiet, NULL);
        if (mango_archive_select(file, key, &sub) >= 0)
            build_one(file, from, &net, &quiet, &fits, &sub);
        mgi_str_free(&quiet);
        mango_net_destroy(net);
        fit = fits ? i : fit;
        n += fits;
        if (at + strlen(key) + 20 < sizeof all)
            at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", at ? ", " : "",
                                   *key ? key : "'' (the top)");
    }
    if (n != 1)
        return mgi_fail(err, MANGO_E_NAME,
                        "several dicts of tensors, and %s: %.160s; say which by --key",
                        n ? "more than one fits" : "none fits alone", all);
    mgi_str_printf(notes, "of the dicts %s only %s fits\n", all,
                   mango_archive_choice(file, fit));
    return mango_archive_select(file, mango_archive_choice(file, fit), err);
}

mango_status import_build(mango_archive *file, const import_source *from, mango_net **net,
                          mgi_str *notes, mango_err *err)
{
    mango_archive_info info;
    int fits = 0;
    *net = NULL;
    if (from->key)
        MGI_TRY(mango_archive_select(file, from->key, err));
    MGI_TRY(mango_archive_get(file, &info));
    if (info.open)
        MGI_TRY(build_choose(file, from, notes, err));
    MGI_TRY(build_one(file, from, net, notes, &fits, err));
    if (!from->arch && from->graph)
        for (int i = 0; from->set[i]; i++) {
            mgi_str spec;
            mgi_str_init(&spec, NULL);
            mango_status st = import_settings(from->set[i], NULL, &spec, err);
            if (st >= 0 && spec.n)
                st = mgi_fail(
                    err, MANGO_E_ARG,
                    "--set %s: with --graph only mean, std, out_scale and out_shift "
                    "can be set",
                    from->set[i]);
            mgi_str_free(&spec);
            MGI_TRY(st);
        }
    for (int i = 0; from->set[i]; i++)
        MGI_TRY(import_settings(from->set[i], *net, NULL, err));
    return MANGO_OK;
}
