/* networks.c - net and plan: made, asked, saved, loaded, run whole and in slices.
 * SPDX-License-Identifier: MIT */
#include "public.h"

static const char p_graph[] = /* a picture of 3x8x8, spikes, two answers */
    "mango-graph 1\nnet arch=small T=6\ninput input - shape=3x8x8\n"
    "c1 conv input out=4 kernel=3 stride=1 pad=1 bias=1\ns1 lif c1 preset=snntorch\n"
    "f linear s1 out=2 bias=1\n";

static mango_net *p_net(void)
{
    mango_net *net = NULL;
    P_OK(mango_net_parse(&net, p_graph, (mango_idx)strlen(p_graph), NULL, &p_err));
    P_OK(mango_net_fill(net, 7, 2.0));
    return net;
}

static void p_asked(const mango_net *net)
{
    mango_net_info info;
    mango_layer layer;
    mango_param param;
    mango_idx i = -1;
    char text[1000];
    P_OK(mango_net_get(net, &info));
    P_CHECK(strcmp(info.arch, "small") == 0 && info.T == 6 && info.spiking);
    P_CHECK(info.layers == mango_net_layers(net) && info.layers == 4);
    P_OK(mango_net_find(net, "s1", &i, &p_err));
    P_OK(mango_net_layer(net, i, &layer));
    P_CHECK(layer.spiking && layer.C == 4 && layer.H == 8 && layer.lif != NULL);
    P_CHECK(mango_net_layer_input(net, i, 0) == i - 1);
    P_CHECK(mango_net_find(net, "s2", &i, &p_err) == MANGO_E_NAME && p_err.text[0]);
    P_CHECK(mango_net_params(net) == 4);
    P_OK(mango_net_param_at(net, 0, &param));
    P_CHECK(strcmp(param.name, "c1.weight") == 0 && param.count == 4 * 3 * 3 * 3);
    P_CHECK(mango_net_text(net, text, sizeof text) > 0 && strstr(text, "lif") != NULL);
    P_CHECK(mango_net_macs(net, 1) > 0);
    P_CHECK(mango_net_layers(NULL) == -1 && mango_net_get(NULL, &info) < 0);
}

static void p_kinds(void)
{
    mango_kind kind;
    mango_kind_key key;
    int convolutions = 0;
    for (mango_idx i = 0; i < mango_kinds(); i++) {
        P_OK(mango_kind_at(i, &kind));
        if (strcmp(kind.name, "conv") != 0)
            continue;
        convolutions++;
        P_OK(mango_kind_key_at(i, 0, &key));
        P_CHECK(strcmp(key.name, "out") == 0 && key.needed && key.lo == 1);
        P_CHECK(mango_kind_key_at(i, kind.keys, &key) == MANGO_E_ARG);
    }
    P_CHECK(convolutions == 1 && mango_kind_at(-1, &kind) == MANGO_E_ARG);
}

static void p_saved(mango_net *net)
{
    mango_net *again = NULL;
    char a[65] = "a", b[65] = "b";
    P_OK(mango_net_meta_set(net, "note", "kept"));
    P_OK(mango_net_save(net, p_file("net.safetensors"), "F32", &p_err));
    P_OK(mango_net_load(&again, p_file("net.safetensors"), NULL, &p_err));
    P_OK(mango_net_digest(net, MANGO_DIGEST_ALL, a));
    P_OK(mango_net_digest(again, MANGO_DIGEST_ALL, b));
    P_CHECK(strcmp(a, b) == 0);
    const char *note = mango_net_meta_get(again, "note");
    P_CHECK(note && strcmp(note, "kept") == 0);
    mango_net_destroy(again);
    P_CHECK(mango_net_load(&again, p_file("none"), NULL, &p_err) < 0 && p_err.text[0]);
}

static void p_planned(const mango_net *net)
{
    float x[2 * 3 * 64], whole[2][2], slices[2][2];
    mango_plan_options o;
    mango_plan *plan = NULL;
    mango_plan_info info;
    mango_reading r = {mango_net_layers(net) - 1, MANGO_READ_MEAN, &whole[0][0]};
    mango_fill_u("input", 7, 2 * 3 * 64, x);
    P_OK(mango_plan_defaults(&o));
    o.batch = 2;
    o.slice = 2;
    o.raw = 1;
    P_OK(mango_plan_create(&plan, net, &o, 1, &r, NULL, &p_err));
    P_OK(mango_plan_run(plan, 2, x));
    P_OK(mango_plan_output(plan, 0, &slices[0][0]));
    P_OK(mango_plan_start(plan, 2, x));
    for (int t = 0; t < 6; t += 2)
        P_OK(mango_plan_advance(plan, 2));
    P_CHECK(memcmp(whole, slices, sizeof whole) == 0);
    P_CHECK(whole[0][0] != whole[1][0]);
    P_OK(mango_plan_get(plan, &info));
    P_CHECK(info.T == 6 && info.batch == 2 && info.bytes == mango_plan_bytes(plan));
    x[5] = NAN;
    P_CHECK(mango_plan_run(plan, 2, x) == MANGO_E_NONFINITE && mango_plan_error(plan)[0]);
    mango_plan_destroy(plan);
    o.size = 0;
    P_CHECK(mango_plan_create(&plan, net, &o, 1, &r, NULL, &p_err) == MANGO_E_ARG);
    P_CHECK(plan == NULL && p_err.text[0]);
    mango_plan_destroy(NULL);
}

/* A convolution of which some windows see padding alone; a transposed one behind codes: no
 * address is computed from nothing (clang's undefined-behaviour sanitizer says so). */
static void p_empty_windows(void)
{
    static const char graph[] =
        "mango-graph 1\nnet arch=v\nx input - shape=1x4x8\n"
        "e conv x out=5 kernel=2 stride=11 pad=2 bias=1\nr relu e\nv vq r codes=9\n"
        "d convt v out=1 kernel=2 stride=2\n";
    static float x[2 * 4 * 8], y[4096];
    mango_net *net = NULL;
    mango_plan *plan = NULL;
    mango_plan_options o;
    P_OK(mango_net_parse(&net, graph, (mango_idx)strlen(graph), NULL, &p_err));
    P_OK(mango_net_fill(net, 7, 1.0));
    P_OK(mango_plan_defaults(&o));
    o.batch = 2;
    const mango_reading last = {mango_net_layers(net) - 1, MANGO_READ_MEAN, y};
    P_OK(mango_plan_create(&plan, net, &o, 1, &last, NULL, &p_err));
    P_OK(mango_plan_run(plan, 2, x));
    mango_plan_destroy(plan);
    mango_net_destroy(net);
}

void p_networks(void)
{
    p_empty_windows();
    mango_net *net = p_net();
    p_asked(net);
    p_kinds();
    p_saved(net);
    p_planned(net);
    mango_net_destroy(net);
    mango_net_destroy(NULL);
}
