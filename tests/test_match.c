/* test_match.c - tensors of other programs into networks by their names; scalars of
 * neurons; archives of tensors.
 * SPDX-License-Identifier: MIT */
#include "tool.h"
#if !defined(_WIN32)
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { T_MATCH_MOST = 160 };

/* What a program offers: every parameter of a net under "PREFIX" + its name, value k + its
 * index; and what is added. */
typedef struct t_match_set {
    mango_offers o;
    mango_offer offer[T_MATCH_MOST];
    float scalar[T_MATCH_MOST]; /* of those with one value */
    char name[T_MATCH_MOST][160];
} t_match_set;

static mango_status t_match_values(void *ud, mango_idx i, float *out, mango_err *err)
{
    const t_match_set *s = (const t_match_set *)ud;
    mango_idx n = 1;
    (void)err;
    for (int r = 0; r < s->offer[i].rank; r++)
        n *= s->offer[i].shape[r];
    for (mango_idx k = 0; k < n; k++)
        out[k] = s->scalar[i] + (float)k;
    return MANGO_OK;
}

static mango_offer *t_match_add(t_match_set *s, const char *prefix, const char *name, float v)
{
    mango_offer *o = &s->offer[s->o.n];
    memset(o, 0, sizeof *o);
    snprintf(s->name[s->o.n], sizeof s->name[0], "%s%s", prefix, name);
    o->name = s->name[s->o.n];
    s->scalar[s->o.n++] = v;
    return o;
}

static t_match_set *t_match_offer(const mango_net *net, const char *prefix)
{
    static t_match_set s;
    T_STATUS(mango_offers_defaults(&s.o), MANGO_OK);
    s.o.offer = s.offer;
    s.o.values = t_match_values;
    s.o.ud = &s;
    for (int i = 0; i < net->n_params; i++) {
        mango_offer *o = t_match_add(&s, prefix, net->param[i].name, (float)i);
        o->rank = net->param[i].rank;
        memcpy(o->shape, net->param[i].shape, sizeof net->param[i].shape);
    }
    return &s;
}

static const mango_lif *t_match_rule(const mango_net *net, const char *layer)
{
    return &net->node[mgi_net_find(net, layer)].lif;
}

static void t_match_fills(void)
{
    mango_net *net = NULL;
    mango_match *m = NULL;
    mango_match_info r;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
    t_match_set *s = t_match_offer(net, "module.");
    t_match_add(s, "module.", "features.spiking0.threshold", 1.5f);
    t_match_add(s, "module.", "features.spiking0.beta", 0.25f);
    t_match_add(s, "module.", "features.spiking1.reset_mechanism_val", 1);
    t_match_add(s, "module.", "features.spiking1.graded_spikes_factor", 1);
    mango_offer *mem = t_match_add(s, "module.", "features.spiking1.mem", 7);
    mem->rank = 2;
    mem->shape[0] = 4, mem->shape[1] = 6;
    T_OK(mango_net_match(net, &s->o, &m, &err), &err);
    T_STATUS(mango_match_get(m, &r), MANGO_OK);
    T_STR(r.strip, "module.");
    T_STR(r.add, "");
    T_EQ(r.filled, net->n_params);
    T_EQ(r.rules, 3);
    T_EQ(r.ignored, 2);
    T_EQ(r.missing + r.left + r.shape, 0);
    T_EQ(mango_match_lines(m), 0);
    T_NEAR(net->param[1].v[1], 2, 0);
    T_NEAR(t_match_rule(net, "spiking0")->U_thr, 1.5, 0);
    T_NEAR(t_match_rule(net, "spiking0")->beta, 0.25, 0);
    T_EQ(t_match_rule(net, "spiking1")->reset, MANGO_RESET_ZERO);
    mango_match_destroy(m);
    mango_net_destroy(net);
}

/* Scalars that no rule can honour are refused by name, never dropped. */
static void t_match_refuses(void)
{
    static const struct {
        const char *name;
        float v;
        mango_idx count;
        mango_status st;
    } bad[] = {
        {"features.spiking0.graded_spikes_factor", 0.5f, 1, MANGO_E_UNSUPPORTED},
        {"features.spiking0.graded_spikes_factor", 1, 3, MANGO_E_UNSUPPORTED},
        {"features.spiking0.reset_mechanism_val", 3, 1, MANGO_E_UNSUPPORTED},
        {"features.spiking0.threshold", 1, 3, MANGO_E_UNSUPPORTED},
        {"features.spiking0.threshold", -1, 1, MANGO_E_FORMAT},
        {"features.spiking0.w", 0, 1, MANGO_E_UNSUPPORTED}, /* decays by beta */
        {"features.spiking0.alpha", 0.5f, 1, MANGO_E_UNSUPPORTED}, /* snnTorch's Synaptic */
        {"features.spiking0.V", 0.5f, 1, MANGO_E_UNSUPPORTED},
        {"features.spiking0.recurrent.weight", 0.5f, 1, MANGO_E_SHAPE},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        mango_net *net = NULL;
        mango_match *m = NULL;
        mango_err err = {""};
        T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
        t_match_set *s = t_match_offer(net, "");
        mango_offer *o = t_match_add(s, "", bad[i].name, bad[i].v);
        o->rank = bad[i].count > 1;
        o->shape[0] = bad[i].count;
        T_STATUS(mango_net_match(net, &s->o, &m, &err), bad[i].st);
        if (bad[i].st == MANGO_E_SHAPE)
            T_CHECK(mango_match_line(m, 0) && strstr(mango_match_line(m, 0), bad[i].name));
        else
            T_CHECK(strstr(err.text, bad[i].name) != NULL);
        mango_match_destroy(m);
        mango_net_destroy(net);
    }
}

/* One value a channel or a neuron becomes a parameter, and the file of the net holds it;
 * one that all have in common stays a number, and a decay is clamped as snnTorch does. */
static void t_match_each(void)
{
    mango_net *net = NULL, *again = NULL;
    mango_match *m = NULL;
    mango_err err = {""};
    char a[65], b[65];
    T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
    const mgi_node *q = &net->node[mgi_net_find(net, "spiking0")];
    t_match_set *s = t_match_offer(net, "net.");
    mango_offer *o = t_match_add(s, "net.", "features.spiking0.threshold", 1);
    o->rank = 3, o->shape[0] = q->C, o->shape[1] = q->H, o->shape[2] = q->W;
    o = t_match_add(s, "net.", "features.spiking0.beta", -2);
    o->rank = 3, o->shape[0] = q->C, o->shape[1] = o->shape[2] = 1;
    t_match_add(s, "net.", "features.spiking1.beta", 1.25f);
    T_OK(mango_net_match(net, &s->o, &m, &err), &err);
    T_EQ(t_match_rule(net, "spiking0")->U_thr_per, MANGO_PER_NEURON);
    T_EQ(t_match_rule(net, "spiking0")->beta_per, MANGO_PER_CHANNEL);
    T_NEAR(t_match_rule(net, "spiking1")->beta, 1, 0);
    const float *v = mango_net_param(net, "features.spiking0.threshold", NULL, NULL);
    T_REQUIRE(v != NULL);
    T_NEAR(v[q->C * q->H * q->W - 1], (float)(q->C * q->H * q->W), 0);
    T_OK(mango_net_save(net, t_tmp("each.safetensors"), "F32", &err), &err);
    T_OK_OR_RETURN(mango_net_load(&again, t_tmp("each.safetensors"), NULL, &err), &err);
    T_STATUS(mango_net_digest(net, MANGO_DIGEST_ALL, a), MANGO_OK);
    T_STATUS(mango_net_digest(again, MANGO_DIGEST_ALL, b), MANGO_OK);
    T_CHECK(!strcmp(a, b));
    mango_match_destroy(m);
    mango_net_destroy(net);
    mango_net_destroy(again);
}

/* ParametricLIFNode: tau = 1 + exp(-w), of the layer of this name and not of another
 * whose name this one ends in ("layer1.0.sn1" and "sn1"). */
static void t_match_plif(void)
{
    mango_net *net = NULL;
    mango_match *m = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, "spiking_resnet18,width=0.05", NULL, &err), &err);
    t_match_set *s = t_match_offer(net, "");
    t_match_add(s, "", "layer1.0.sn1.w", 0.5f);
    t_match_add(s, "", "sn1.w", -0.6f);
    t_match_add(s, "", "layer4.1.sn2.w", 0);
    T_OK(mango_net_match(net, &s->o, &m, &err), &err);
    T_NEAR(t_match_rule(net, "sn1")->tau, 2.8221188, 1e-6);
    T_NEAR(t_match_rule(net, "layer1.0.sn1")->tau, 1.6065307, 1e-6);
    T_NEAR(t_match_rule(net, "layer4.1.sn2")->tau, 2, 0);
    T_NEAR(t_match_rule(net, "layer1.0.sn2")->tau, 2, 0);
    mango_match_destroy(m);
    mango_net_destroy(net);
}

static void t_match_report(void)
{
    mango_net *net = NULL;
    mango_match *m = NULL;
    mango_match_info r;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
    t_match_set *s = t_match_offer(net, "");
    s->offer[0].shape[0]++;      /* of the wrong shape */
    snprintf(s->name[1], 160, "other"); /* missing and left over */
    T_STATUS(mango_net_match(net, &s->o, &m, &err), MANGO_E_SHAPE);
    T_STATUS(mango_match_get(m, &r), MANGO_OK);
    T_EQ(r.missing * 100 + r.left * 10 + r.shape, 111);
    T_EQ(mango_match_lines(m), 3);
    T_CHECK(strstr(mango_match_line(m, 0), "wrong shape: ") != NULL);
    T_CHECK(strstr(mango_match_line(m, 2), "missing: ") != NULL);
    T_CHECK(mango_match_line(m, 3) == NULL && mango_match_line(NULL, 0) == NULL);
    mango_match_destroy(m);
    for (int i = 0; i < 100; i++) /* more than a screen */
        t_match_add(s, "", "more", 0);
    T_STATUS(mango_net_match(net, &s->o, &m, &err), MANGO_E_SHAPE);
    T_EQ(mango_match_lines(m), 41);
    T_STR(mango_match_line(m, 40), "...");
    mango_match_destroy(m);
    s->o.size = 0;
    T_STATUS(mango_net_match(net, &s->o, &m, &err), MANGO_E_ARG);
    T_CHECK(m == NULL && err.text[0]);
    err.text[0] = 0;
    T_STATUS(mango_net_match(NULL, &s->o, &m, &err), MANGO_E_ARG);
    T_CHECK(err.text[0] != 0);
    T_EQ(mango_match_lines(NULL), -1);
    T_STATUS(mango_match_get(NULL, &r), MANGO_E_ARG);
    mango_match_destroy(NULL);
    mango_net_destroy(net);
}

/* ---- archives ---- */

static int t_match_archive_write(const char *path)
{
    static const float a[6] = {1, 2, 3, 4, 5, 6}, b[1] = {-0.5f};
    const float *const values[2] = {a, b};
    const mango_offer offers[2] = {{"w", 2, {2, 3}}, {"net.b", 0, {0}}};
    mango_err err = {""};
    return T_OK(mango_archive_write(path, 2, offers, values, &err), &err);
}

static void t_match_archive_is(const mango_archive *a, const char *path)
{
    mango_archive_info info;
    mango_tensor t;
    float v[6];
    char hex[65];
    unsigned char *p = NULL;
    mango_idx n = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    T_REQUIRE(mango_archive_get(a, &info) == MANGO_OK);
    T_STR(info.format, "safetensors");
    T_EQ(info.tensors, 2);
    T_EQ(info.has_graph, 0);
    const mango_idx at = mango_archive_find(a, "w");
    T_REQUIRE(at >= 0);
    T_STATUS(mango_archive_tensor(a, at, &t), MANGO_OK);
    T_CHECK(t.rank == 2 && t.shape[0] == 2 && t.shape[1] == 3 && t.count == 6);
    T_STR(t.dtype, "F32");
    T_STATUS(mango_archive_floats(a, at, v, NULL), MANGO_OK);
    T_NEAR(v[5], 6, 0);
    T_REQUIRE(mgi_file_read(path, 1 << 20, &al, &p, &n, NULL) == MANGO_OK);
    mgi_sha256(p, n, hex);
    T_STR(info.sha256, hex);
    mgi_del(&al, p, n + 1, 1);
}

/* Content says what a file is, not its name; NULL is refused in words. */
static void t_match_archive(void)
{
    static const char *const names[] = {"a.safetensors", "a.pt"};
    mango_archive *a = NULL;
    mango_err err = {""};
    for (int i = 0; i < 2; i++) {
        const char *path = t_tmp(names[i]);
        if (!t_match_archive_write(path))
            return;
        T_OK_OR_RETURN(mango_archive_open(&a, path, NULL, NULL, &err), &err);
        t_match_archive_is(a, path);
        T_EQ(mango_archive_find(a, "v"), -1);
        T_STATUS(mango_archive_floats(a, 2, NULL, &err), MANGO_E_ARG);
        mango_archive_destroy(a);
    }
    T_STATUS(mango_archive_open(&a, t_tmp("none"), NULL, NULL, &err), MANGO_E_IO);
    T_CHECK(a == NULL);
    err.text[0] = 0;
    T_STATUS(mango_archive_open(&a, NULL, NULL, NULL, &err), MANGO_E_ARG);
    T_CHECK(err.text[0] != 0);
    T_STATUS(mango_archive_import(NULL, NULL, NULL, NULL, &err), MANGO_E_ARG);
    T_EQ(mango_archive_tensors(NULL), -1);
}

#if !defined(_WIN32)
/* A pipe is read once: what is hashed is what is parsed. */
static void t_match_pipe(void)
{
    const char *path = t_tmp("b.safetensors"), *pipe = t_tmp("pipe");
    unsigned char *p = NULL;
    mango_idx n = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    mango_archive *a = NULL;
    mango_err err = {""};
    if (!t_match_archive_write(path))
        return;
    T_REQUIRE(mgi_file_read(path, 1 << 20, &al, &p, &n, NULL) == MANGO_OK);
    T_REQUIRE(mkfifo(pipe, 0600) == 0);
    const pid_t child = fork();
    if (child == 0) {
        FILE *f = fopen(pipe, "wb");
        _exit(!f || fwrite(p, 1, (size_t)n, f) != (size_t)n || fclose(f) != 0);
    }
    mgi_del(&al, p, n + 1, 1);
    T_REQUIRE(child > 0);
    if (T_OK(mango_archive_open(&a, pipe, NULL, NULL, &err), &err))
        t_match_archive_is(a, path);
    mango_archive_destroy(a);
    waitpid(child, NULL, 0);
}
#endif

static mango_status t_match_cycle(void *ud, const mango_alloc *al)
{
    mango_archive *a = NULL;
    mango_match *m = NULL;
    mango_net *net = NULL;
    const char text[] = "mango-graph 1\nnet arch=a\nx input - shape=3\n"
                        "y linear x out=2 bias=0\n";
    mango_status st = mango_archive_open(&a, ud, NULL, al, NULL);
    if (st >= 0)
        st = mango_net_parse(&net, text, (mango_idx)sizeof text - 1, al, NULL);
    if (st >= 0)
        st = mango_archive_import(a, net, NULL, &m, NULL);
    mango_match_destroy(m);
    mango_net_destroy(net);
    mango_archive_destroy(a);
    return st == MANGO_E_SHAPE ? MANGO_OK : st; /* its names do not fit */
}

static void t_match_memory(void)
{
    const char *path = t_tmp("c.safetensors");
    if (t_match_archive_write(path))
        T_CHECK(t_oom_sweep(t_match_cycle, (void *)(uintptr_t)path) > 10);
}

/* A network's file with tensors added as a state dict has them. */
static int t_match_file(const mango_net *net, const char *path, float threshold)
{
    static const unsigned char many[8] = {0, 0, 0, 0x80, 1}; /* over 2^24 */
    static const float mem[6] = {7, 7, 7, 7, 7, 7};
    static const mango_idx shape[2] = {1, 6};
    mgi_tensor_writer *w = NULL;
    mgi_str graph;
    mango_err err = {""};
    mgi_str_init(&graph, NULL);
    if (mgi_writer_new(&w, NULL) < 0 || mgi_graph_write(net, &graph) < 0)
        return 0;
    mgi_writer_meta(w, "mango.graph", graph.p);
    for (int i = 0; i < net->n_params; i++)
        mgi_writer_add(w, net->param[i].name, MGI_F32, net->param[i].rank, net->param[i].shape,
                       net->param[i].v);
    mgi_writer_add_raw(w, "bn.num_batches_tracked", MGI_I64, 0, NULL, many);
    mgi_writer_add(w, "features.spiking1.mem", MGI_F32, 2, shape, mem);
    mgi_writer_add(w, "features.spiking1.threshold", MGI_F32, 0, NULL, &threshold);
    const int ok = T_OK(mgi_writer_save(w, path, &err), &err);
    mgi_writer_free(w);
    mgi_str_free(&graph);
    return ok;
}

/* A weights file may hold them too: rules are set, counters and membranes passed over. */
static void t_match_loads(void)
{
    const char *path = t_tmp("state.safetensors");
    mango_net *net = NULL, *back = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
    T_OK(mango_net_fill(net, 3, 1), NULL);
    if (t_match_file(net, path, 0.75f) &&
        T_OK(mango_net_load(&back, path, NULL, &err), &err)) {
        T_NEAR(t_match_rule(back, "spiking1")->U_thr, 0.75, 0);
        T_NEAR(t_match_rule(back, "spiking0")->U_thr, t_match_rule(net, "spiking0")->U_thr, 0);
    }
    mango_net_destroy(back);
    mango_net_destroy(net);
}

/* The command's --set: each key goes where it says. */
static void t_match_settings(void)
{
    mango_net *net = NULL;
    mango_net_info info;
    mango_err err = {""};
    if (!t_tool())
        T_SKIP("no command");
    T_OK_OR_RETURN(mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err), &err);
    T_OK(mango_net_fill(net, 3, 1), NULL);
    T_OK(mango_net_save(net, t_work("own.safetensors"), "F32", &err), &err);
    mango_net_destroy(net);
    t_tool_is("import own.safetensors --arch snn_conv,width=0.1 --set "
              "out_scale=0.5,mean=0.25,std=1,2,4,out_shift=-1,T=7 --out set.safetensors",
              0, "8 parameters of snn_conv");
    T_OK_OR_RETURN(mango_net_load(&net, t_work("set.safetensors"), NULL, &err), &err);
    T_STATUS(mango_net_get(net, &info), MANGO_OK);
    T_NEAR(info.out_scale, 0.5, 0);
    T_NEAR(info.out_shift, -1, 0);
    T_CHECK(info.mean[0] == 0.25f && info.mean[2] == 0.25f && info.std[2] == 4);
    T_EQ(info.T, 7);
    mango_net_destroy(net);
}

void t_match(void)
{
    T_CASE(t_match_fills);
    T_CASE(t_match_refuses);
    T_CASE(t_match_each);
    T_CASE(t_match_plif);
    T_CASE(t_match_report);
    T_CASE(t_match_archive);
#if !defined(_WIN32)
    T_CASE(t_match_pipe);
#endif
    T_CASE(t_match_memory);
    T_CASE(t_match_loads);
    T_CASE(t_match_settings);
}
