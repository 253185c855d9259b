/* test_net.c - networks by their public calls, and rules and values that a net must not
 * take: each case failed before its fault was mended.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static mango_net *t_net_parse(const char *text)
{
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&n, text, (mango_idx)strlen(text), NULL, &err), &err);
    return n;
}

/* ---- the public listing ---------------------------------------------------------- */

/* What a program may ask without the private headers. */
static void t_net_public(void)
{
    mango_err err = {""};
    mango_net_info o;
    mango_layer l;
    mango_param p;
    char text[64], hex[2][65];
    mango_net *n = t_net_parse("mango-graph 1\nnet arch=tiny T=3 mean=0.5 std=0.25\n"
                           "in input - shape=3x5x5\nc conv in out=4 kernel=3 pad=1\n"
                           "s lif c beta=0.5\nf linear s out=2 bias=0\n");
    T_STATUS(mango_net_get(n, &o), MANGO_OK);
    T_CHECK(!strcmp(o.arch, "tiny") && o.layers == 4 && o.params == 3 && o.T == 3);
    T_CHECK(o.input == 0 && o.output == 3 && o.spiking == 1 && o.latent_classes == -1);
    T_CHECK(o.mean[2] == 0.5f && o.std[0] == 0.25f && o.out_scale == 1 && o.out_shift == 0);
    T_CHECK(o.macs == 25 * 3 * 4 * 9 + 3 * 100 * 2);
    T_STATUS(mango_net_layer(n, 1, &l), MANGO_OK);
    T_CHECK(l.macs == 2700 && l.macs_inside == 3 * 4 * 13 * 13 && l.timed == 0 && !l.lif);
    T_STATUS(mango_net_layer(n, 2, &l), MANGO_OK);
    T_CHECK(l.lif && l.lif->beta == 0.5f && l.timed && l.inputs == 1);
    T_CHECK(mango_net_layer_input(n, 2, 0) == 1 && mango_net_layer_input(n, 2, 1) == -1);
    T_STATUS(mango_net_param_at(n, 1, &p), MANGO_OK);
    T_CHECK(!strcmp(p.name, "c.bias") && p.rank == 1 && p.count == 4 && p.trained && !p.values);
    T_STATUS(mango_net_param_at(n, 3, &p), MANGO_E_ARG);
    T_STATUS(mango_net_digest(n, MANGO_DIGEST_ALL, hex[0]), MANGO_E_STATE); /* no values */
    T_OK(mango_net_fill(n, 1, 1), NULL);
    T_STATUS(mango_net_digest(n, MANGO_DIGEST_ALL, hex[0]), MANGO_OK);
    mango_net_param(n, "f.weight", NULL, NULL)[0] += 1e-7f;
    T_STATUS(mango_net_digest(n, MANGO_DIGEST_ALL, hex[1]), MANGO_OK);
    T_CHECK(strcmp(hex[0], hex[1]) != 0);
    const mango_idx len = mango_net_text(n, text, (mango_idx)sizeof text);
    T_CHECK(len > 64 && strlen(text) == 63 && !strncmp(text, "mango-graph 1\nnet arch=tiny", 26));
    T_CHECK(mango_net_text(n, NULL, 0) == len && mango_net_text(NULL, NULL, 0) == -1);
    T_STATUS(mango_net_set_range(n, 0, 1), MANGO_E_ARG);
    T_CHECK(strstr(mango_net_error(n), "out_scale") != NULL);
    const float mean[3] = {0.1f, 0.2f, 0.3f}, zero[3] = {1, 0, 1};
    T_STATUS(mango_net_set_normalization(n, mean, zero), MANGO_E_ARG);
    T_STATUS(mango_net_set_normalization(n, mean, mean), MANGO_OK);
    T_STATUS(mango_net_get(n, &o), MANGO_OK);
    T_CHECK(o.mean[1] == 0.2f && o.std[2] == 0.3f);
    T_STATUS(mango_net_get(NULL, &o), MANGO_E_ARG);
    T_CHECK(mango_net_layers(NULL) == -1 && mango_net_params(NULL) == -1);
    T_STATUS(mango_net_load(&n, NULL, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mango_net_load") != NULL);
    mango_net_destroy(n);
}

/* ---- weights files ------------------------------------------------------------- */

#define T_NET_HEAD "mango-graph 1\nnet arch=a T=2\n"

/* A file of a graph and of n tensors of one value each. */
static const char *t_net_file(const char *graph, int n, const char *const *name,
                              const float *value)
{
    static const mango_idx one[1] = {1};
    mango_err err = {""};
    mgi_tensor_writer *w = NULL;
    const char *path = t_tmp("one.safetensors");
    T_STATUS(mgi_writer_new(&w, NULL), MANGO_OK);
    T_STATUS(mgi_writer_meta(w, "mango.graph", graph), MANGO_OK);
    for (int i = 0; i < n; i++)
        mgi_writer_add(w, name[i], MGI_F32, 1, one, &value[i]);
    T_OK(mgi_writer_save(w, path, &err), &err);
    mgi_writer_free(w);
    return path;
}

/* snnTorch's scalars beside the graph are the layer's rule, not passed over in silence. */
static void t_net_rule_scalars(void)
{
    static const char *const name[3] = {"s.threshold", "s.beta", "s.graded_spikes_factor"};
    static const char graph[] = T_NET_HEAD "x input - shape=1\ns lif x beta=0.5\n";
    float v[3] = {0.846f, 0.25f, 1};
    mango_net *n = NULL;
    mango_layer l;
    mango_err err = {""};
    if (T_OK(mango_net_load(&n, t_net_file(graph, 3, name, v), NULL, &err), &err)) {
        T_STATUS(mango_net_layer(n, 1, &l), MANGO_OK);
        T_CHECK(l.lif->U_thr == 0.846f && l.lif->beta == 0.25f);
    }
    mango_net_destroy(n);
    v[2] = 0.5f; /* spikes of another size */
    T_STATUS(mango_net_load(&n, t_net_file(graph, 3, name, v), NULL, &err), MANGO_E_UNSUPPORTED);
    T_CHECK(strstr(err.text, "graded_spikes_factor") != NULL);
    v[2] = 1;
    v[0] = -1; /* no threshold */
    T_CHECK(mango_net_load(&n, t_net_file(graph, 3, name, v), NULL, &err) < 0);
}

/* A negative variance has no root: refused by name when loaded and when planned. */
static void t_net_negative_variance(void)
{
    static const char *const name[4] = {"b.weight", "b.bias", "b.running_mean", "b.running_var"};
    static const char graph[] = "mango-graph 1\nnet arch=a\nx input - shape=1\nb batchnorm x\n";
    const float v[4] = {1, 0, 0, -0.5f};
    float y[1];
    mango_err err = {""};
    mango_net *n = NULL;
    mango_plan *p = NULL;
    mango_plan_options o;
    const mango_reading r = {1, MANGO_READ_MEAN, y};
    T_STATUS(mango_net_load(&n, t_net_file(graph, 4, name, v), NULL, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "b.running_var is -0.5 at 0") != NULL);
    n = t_net_parse(graph);
    T_OK(mango_net_fill(n, 1, 1), NULL);
    mango_net_param(n, "b.running_var", NULL, NULL)[0] = -1;
    mango_plan_defaults(&o);
    T_STATUS(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "b.running_var") != NULL);
    mango_plan_destroy(p);
    mango_net_destroy(n);
}

/* Many strings of metadata, keys of one hash slot, a long list of extras: refused or
 * read in little time, as the limits of safetensors.h say. */
static void t_net_small_costly(void)
{
    mgi_str s;
    mgi_json j;
    mango_err err = {""};
    mgi_str_init(&s, NULL);
    mgi_str_puts(&s, "........{\"__metadata__\":{");
    for (int i = 0; i < 60000; i++)
        mgi_str_printf(&s, "%s\"%x\":\"\"", i ? "," : "", i);
    mgi_str_puts(&s, "}}");
    for (int i = 0; i < 8; i++)
        s.p[i] = (char)(unsigned char)((s.n - 8) >> 8 * i & 255);
    const char *path = t_tmp("keys.safetensors");
    mango_net *n = NULL;
    T_CHECK(t_write(path, s.p, (size_t)s.n));
    T_STATUS(mango_net_load(&n, path, NULL, &err), MANGO_E_LIMIT);
    T_CHECK(strstr(err.text, "strings of metadata") != NULL);
    mgi_str_free(&s);
    mgi_str_init(&s, NULL);
    mgi_str_puts(&s, "{\"b\":1,\"a\":2,\"c\":{\"a\":1},\"d\":[{\"a\":1,\"b\":2,\"a\":3}]}");
    T_STATUS(mgi_json_parse(&j, s.p, s.n, NULL, &err), MANGO_E_FORMAT);
    T_STR(err.text, "JSON, byte 44: key \"a\" appears twice");
    mgi_str_free(&s);
}

/* ---- plans --------------------------------------------------------------------- */

/* A few bytes of graph that would run for hours are refused before they start. */
static void t_net_endless(void)
{
    static const char *const graph[] = {
        "x input - shape=1x4096x4096\ny avgpool x kernel=256 stride=1\n",
        "x input - shape=64x512x512\ny conv x out=256 kernel=63 pad=31\n",
        "x input - shape=64x256x256\ns lif x beta=0.5\ny maxpool s kernel=64 stride=1\n"};
    for (int i = 0; i < 3; i++) {
        char text[256];
        float y[1];
        mango_err err = {""};
        mango_plan *p = NULL;
        mango_plan_options o;
        mango_plan_defaults(&o);
        snprintf(text, sizeof text, "%s%s", i == 2 ? T_NET_HEAD : "mango-graph 1\nnet arch=a\n",
                 graph[i]);
        mango_net *n = t_net_parse(text);
        mango_reading r = {mango_net_layers(n) - 1, MANGO_READ_MEAN, y};
        o.T = i == 2 ? 4096 : 0;
        T_STATUS(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), MANGO_E_LIMIT);
        T_CHECK(strstr(err.text, "limit of 1e+13") != NULL);
        mango_plan_destroy(p);
        mango_net_destroy(n);
    }
}

/* Steps of a network without spikes: one is run, and the plan says so. */
static void t_net_steps(void)
{
    float y[2], x[1] = {2};
    mango_err err = {""};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_plan_info info;
    mango_net *n = t_net_parse(T_NET_HEAD "x input - shape=1\ny tanh x\ns lif y beta=0.5\n");
    mango_reading r = {1, MANGO_READ_MEAN, y};
    mango_plan_defaults(&o);
    o.T = 40;
    for (int spikes = 0; spikes < 2; spikes++) {
        r.layer = 1 + spikes;
        T_OK(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), &err);
        T_STATUS(mango_plan_get(p, &info), MANGO_OK);
        T_CHECK(info.T == 40 && info.steps == (spikes ? 40 : 1) && info.readings == 1);
        T_STATUS(mango_plan_run(p, 2, x), MANGO_E_ARG);
        T_STR(mango_plan_error(p), "2 inputs: expected 1..1");
        mango_plan_destroy(p);
    }
    mango_net_destroy(n);
}

/* The values of layer `at` by a plan of its own. */
static void t_net_read(const mango_net *n, const char *layer, const float *x, float *y)
{
    mango_err err = {""};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_reading r = {0, MANGO_READ_MEAN, y};
    mango_plan_defaults(&o);
    T_OK(mango_net_find(n, layer, &r.layer, &err), &err);
    T_OK(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), &err);
    T_OK(mango_plan_run(p, 1, x), NULL);
    mango_plan_destroy(p);
}

/* Aimed at one layer after another a plan gives the bits of plans made for each, packs
 * what it has not packed yet, and stays as it was when an aim is refused. */
static void t_net_aim(void)
{
    static const char *const at[] = {"b", "c2", "s", "f", "v", "c1", "f", "r"};
    static const char graph[] =
        T_NET_HEAD "x input - shape=3x9x9\nc1 conv x out=6 kernel=3 pad=1\n"
                   "b batchnorm c1\nr relu b\nu upsample r mode=nearest\n"
                   "c2 conv u out=5 kernel=3 pad=1\ns lif c2 beta=0.5\n"
                   "c3 conv s out=7 kernel=3\nv vq c3 codes=11\nf linear v out=4\n";
    static float x[243], y[4000], want[4000];
    mango_err err = {""};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_idx bytes[MGI_COUNT(at)];
    mango_net *n = t_net_parse(graph);
    mango_reading r = {0, MANGO_READ_MEAN, y};
    T_OK(mango_net_fill(n, 3, 1), NULL);
    mango_fill_u("aim.x", 1, 243, x);
    mango_plan_defaults(&o);
    T_OK_OR_RETURN(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(at); i++) {
        mango_layer l;
        T_OK(mango_net_find(n, at[i], &r.layer, &err), &err);
        T_OK(mango_plan_aim(p, 1, &r, &err), &err);
        T_STATUS(mango_net_layer(n, r.layer, &l), MANGO_OK);
        T_OK(mango_plan_run(p, 1, x), NULL);
        t_net_read(n, at[i], x, want);
        T_MEM(y, want, (size_t)(l.C * l.H * l.W) * sizeof *y);
        mango_plan_info info;
        T_STATUS(mango_plan_get(p, &info), MANGO_OK);
        bytes[i] = info.weights;
    }
    T_CHECK(bytes[0] > 0 && bytes[1] > bytes[0] && bytes[2] == bytes[1] && bytes[3] > bytes[2]);
    T_CHECK(bytes[6] == bytes[5]); /* the second aim at f packs nothing */
    r.layer = 99;
    T_STATUS(mango_plan_aim(p, 1, &r, &err), MANGO_E_ARG);
    memset(y, 0, sizeof y);
    T_OK(mango_plan_run(p, 1, x), NULL); /* still at r */
    t_net_read(n, "r", x, want);
    T_MEM(y, want, 6 * 81 * sizeof *y);
    T_STATUS(mango_plan_aim(NULL, 1, &r, &err), MANGO_E_ARG);
    mango_plan_destroy(p);
    mango_net_destroy(n);
}

static mango_status t_net_aim_all(void *ud, const mango_alloc *al)
{
    const mango_net *n = ud;
    float y[128];
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_reading r = {1, MANGO_READ_MEAN, y};
    mango_plan_defaults(&o);
    mango_status st = mango_plan_create(&p, n, &o, 1, &r, al, NULL);
    r.layer = 2;
    if (st == MANGO_OK)
        st = mango_plan_aim(p, 1, &r, NULL);
    mango_plan_destroy(p);
    return st;
}

static void t_net_aim_oom(void)
{
    mango_net *n = t_net_parse("mango-graph 1\nnet arch=a\nx input - shape=2x4x4\n"
                               "c conv x out=3 kernel=3\nf linear c out=5\n");
    T_OK(mango_net_fill(n, 3, 1), NULL);
    T_CHECK(t_oom_sweep(t_net_aim_all, n) > 8);
    mango_net_destroy(n);
}

void t_net(void)
{
    T_CASE(t_net_aim);
    T_CASE(t_net_aim_oom);
    T_CASE(t_net_public);
    T_CASE(t_net_rule_scalars);
    T_CASE(t_net_negative_variance);
    T_CASE(t_net_small_costly);
    T_CASE(t_net_endless);
    T_CASE(t_net_steps);
}

#undef T_NET_HEAD
