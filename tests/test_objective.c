/* test_objective.c - space, target, and the objective that joins two networks.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- space and target ---------------------------------------------------- */

static void t_objective_space(void)
{
    const mango_idx n[3] = {64, 1, 3}, I[6] = {0, 0, 0, 63, 0, 1};
    mango_space *s;
    mango_space_info si;
    mango_err err = {""};
    float z[6];
    T_OK_OR_RETURN(mango_space_create(&s, 3, n, -4.0, 4.0, NULL, &err), &err);
    T_STATUS(mango_space_get(s, &si), MANGO_OK);
    T_CHECK(si.modes.d == 3 && si.modes.n[0] == 64 && si.modes.n[1] == 1 && si.layer == -1);
    T_STATUS(mango_space_latent(s, 2, I, z), MANGO_OK);
    const float want[6] = {-4, 0, -4, 4, 0, 0};
    T_MEM(z, want, sizeof want);
    const mango_idx out[3] = {64, 0, 0};
    T_STATUS(mango_space_latent(s, 1, out, z), MANGO_E_ARG);
    mango_space_destroy(s);
    mango_space_destroy(NULL);
    T_STATUS(mango_space_create(&s, 0, n, 0.0, 1.0, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_space_create(&s, 3, n, 1.0, 0.0, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_space_create(&s, 3, n, NAN, 0.0, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_space_create(&s, 3, out, 0.0, 1.0, NULL, &err), MANGO_E_ARG);
}

static mango_net *t_objective_zoo(const char *spec)
{
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&n, spec, NULL, &err), &err);
    if (n)
        T_STATUS(mango_net_fill(n, 7, 2.0), MANGO_OK);
    return n;
}

static void t_objective_spaces(void)
{
    static const struct { const char *spec; mango_idx d, n; int codes; } want[2] = {
        {"sngan,width=0.0625", 128, 64, 0}, {"vqvae", 64, 512, 1}};
    mango_space *s;
    mango_space_info si;
    mango_modes m;
    mango_err err = {""};
    for (int i = 0; i < 2; i++) {
        mango_net *gen = t_objective_zoo(want[i].spec);
        T_REQUIRE(gen != NULL);
        T_OK_OR_RETURN(mango_space_of(&s, gen, NULL, &err), &err);
        T_STATUS(mango_space_get(s, &si), MANGO_OK);
        m = si.modes;
        T_CHECK(m.d == want[i].d && m.n[0] == want[i].n && m.n[m.d - 1] == want[i].n);
        T_EQ(si.layer >= 0, want[i].codes);
        mango_space_destroy(s);
        mango_net_destroy(gen);
    }
    mango_net *net = t_objective_zoo("snn_conv,width=0.1");
    T_STATUS(mango_space_of(&s, net, NULL, &err), MANGO_E_SHAPE);
    mango_net_destroy(net);
}

static void t_objective_target(void)
{
    mango_net *net = t_objective_zoo("snn_conv,width=0.1");
    mango_target t;
    mango_err err = {""};
    T_REQUIRE(net != NULL);
    T_OK(mango_target_parse(&t, net, "spiking1:3", &err), &err);
    T_CHECK(t.unit == 3 && t.y == -1 && !t.softmax && t.spiking);
    T_OK(mango_target_parse(&t, net, "spiking0:2:4:5", &err), &err);
    T_CHECK(t.unit == 2 && t.y == 4 && t.x == 5);
    T_OK(mango_target_parse(&t, net, "class:9", &err), &err);
    T_CHECK(t.unit == 9 && t.softmax && t.layer == mango_net_layers(net) - 1);
    static const struct { const char *text; mango_status st; const char *says;
    } bad[] = {
        {"spikin1:3", MANGO_E_NAME, "spiking1"},
        {"spiking1:4000", MANGO_E_NAME, "spiking1"},
        {"spiking1:-1", MANGO_E_NAME, "-1"},
        {"class:10", MANGO_E_NAME, "0..9"},
        {"spiking0:0:99:0", MANGO_E_NAME, "rows"},
        {"spiking0:0:0:99", MANGO_E_NAME, "columns"},
        {"spiking1", MANGO_E_FORMAT, "layer:unit"},
        {"spiking1:", MANGO_E_FORMAT, ""},
        {"", MANGO_E_FORMAT, ""},
        {":3", MANGO_E_FORMAT, ""},
        {"a:1:2", MANGO_E_FORMAT, ""},
        {"spiking1:1:2:3:4", MANGO_E_FORMAT, ""},
        {"spiking1:x", MANGO_E_FORMAT, "'x'"},
        {"spiking1:3.0", MANGO_E_FORMAT, ""},
        {"spiking1:99999999999999999999", MANGO_E_FORMAT, ""},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        T_STATUS(mango_target_parse(&t, net, bad[i].text, &err), bad[i].st);
        T_CHECK(strstr(err.text, bad[i].says) != NULL);
    }
    T_STATUS(mango_target_parse(&t, net, NULL, &err), MANGO_E_FORMAT);
    mango_net_destroy(net);
}

/* ---- the objective ------------------------------------------------------- */

/* Values do not depend on how codes are batched or on threads; the picture is
 * 8 bit, and what the network says of it is the value of the code. */
static void t_objective_joined(const char *gen_spec, const char *target)
{
    enum { K = 5 };
    mango_net *gen = t_objective_zoo(gen_spec), *net = t_objective_zoo("snn_conv,width=0.1");
    mango_objective_options o;
    mango_objective *a = NULL, *b = NULL;
    mango_objective_info info;
    mango_space_info si;
    mango_modes m;
    mango_err err = {""};
    double y[K], y2[K], seen;
    T_REQUIRE(gen && net);
    mango_objective_defaults(&o);
    o.T = 6, o.batch = 3;
    T_OK_OR_RETURN(mango_objective_create(&a, gen, net, target, &o, NULL, &err), &err);
    o.batch = 1;
    T_OK_OR_RETURN(mango_objective_create(&b, gen, net, target, &o, NULL, &err), &err);
    mango_objective_get(a, &info);
    mango_space_get(info.space, &si);
    m = si.modes;
    T_CHECK(info.C == 3 && info.H == 32 && info.W == 32 && info.T == 6 && info.bytes > 0);
    T_CHECK(strlen(info.gen) == 64 && strcmp(info.gen, info.net) != 0);
    mango_idx *I = calloc((size_t)(K * m.d), sizeof *I);
    float *rgb = calloc((size_t)(3 * 32 * 32), sizeof *rgb);
    mango_rng r;
    mango_rng_init(&r, 3, 1, 0);
    for (mango_idx i = 0; i < K * m.d; i++)
        I[i] = mango_rng_int(&r, m.n[i % m.d]);
    mango_set_threads(1);
    T_STATUS(mango_objective_eval(a, K, I, y), MANGO_OK);
    mango_set_threads(2);
    T_STATUS(mango_objective_eval(b, K, I, y2), MANGO_OK);
    mango_set_threads(0);
    T_MEM(y2, y, sizeof y);
    int odd = 0;
    float *last = calloc((size_t)(3 * 32 * 32), sizeof *last);
    T_STATUS(mango_objective_picture(a, I + (K - 1) * m.d, last), MANGO_OK); /* from the batch */
    T_STATUS(mango_objective_picture(b, I, rgb), MANGO_OK);
    T_STATUS(mango_objective_picture(b, I + (K - 1) * m.d, rgb), MANGO_OK); /* drawn again */
    T_MEM(last, rgb, (size_t)(3 * 32 * 32) * sizeof *rgb);
    free(last);
    for (int k = 0; k < K; k++) {
        T_STATUS(mango_objective_picture(a, I + k * m.d, rgb), MANGO_OK);
        for (int i = 0; i < 3 * 32 * 32; i++)
            odd += (float)(int)(rgb[i] * 255.0f + 0.5f) / 255.0f != rgb[i];
        T_STATUS(mango_objective_look(b, 1, rgb, &seen), MANGO_OK);
        T_CHECK(seen == y[k] && y[k] >= 0.0 && y[k] <= 1.0);
    }
    T_EQ(odd, 0);
    free(I), free(rgb);
    mango_objective_destroy(a), mango_objective_destroy(b);
    mango_net_destroy(gen), mango_net_destroy(net);
}

static void t_objective_all(void)
{
    t_objective_joined("vqvae", "spiking0:3");
    t_objective_joined("vqvae", "spiking1:1:2:2");
    t_objective_joined("sngan,width=0.0625", "class:4");
}

/* Two nets that do nothing: the latent is the picture, the picture the answer. */
static mango_net *t_objective_parse(const char *text)
{
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&n, text, (mango_idx)strlen(text), NULL, &err), &err);
    return n;
}

static const char t_objective_gen[] =
    "mango-graph 1\nnet arch=tiny T=1\nlatent input - shape=12\n"
    "picture reshape latent shape=3x2x2\n";
static const char t_objective_net[] =
    "mango-graph 1\nnet arch=tiny T=1\nimage input - shape=3x2x2\n"
    "copy relu image\nsum globalsum copy\n";

static void t_objective_exact(void)
{
    static const mango_idx level[4] = {0, 34, 37, 63}; /* -4, .317, .698, 4 */
    static const char *const target[3] = {"copy:1:0:1", "copy:1", "class:1"};
    mango_net *gen = t_objective_parse(t_objective_gen), *net = t_objective_parse(t_objective_net);
    mango_objective *f = NULL;
    mango_err err = {""};
    mango_idx I[12] = {0};
    float rgb[12];
    double y;
    T_REQUIRE(gen && net);
    for (int i = 0; i < 4; i++)
        I[4 + i] = level[i]; /* channel 1, in (H,W) order */
    for (int i = 0; i < 3; i++) {
        T_OK_OR_RETURN(mango_objective_create(&f, gen, net, target[i], NULL, NULL, &err),
                       &err);
        T_STATUS(mango_objective_picture(f, I, rgb), MANGO_OK);
        const float x1 = 81.0f / 255.0f, x2 = 178.0f / 255.0f;
        T_CHECK(rgb[0] == 0.0f && rgb[4] == 0.0f && rgb[5] == x1 && rgb[6] == x2);
        T_CHECK(rgb[7] == 1.0f);
        T_STATUS(mango_objective_eval(f, 1, I, &y), MANGO_OK);
        const double sum = (double)x1 + (double)x2 + 1.0, e = exp(sum);
        T_NEAR(y, i == 0 ? (double)x1 : i == 1 ? sum / 4.0 : e / (e + 2.0), 1e-6);
        T_STATUS(mango_objective_look(f, 1, rgb, &y), MANGO_OK);
        I[0] = 64; /* out of range */
        T_STATUS(mango_objective_eval(f, 1, I, &y), MANGO_E_ARG);
        I[0] = 0;
        mango_objective_destroy(f);
    }
    mango_net_destroy(gen), mango_net_destroy(net);
}

static mango_status t_objective_make_objective(void *ud, const mango_alloc *al)
{
    mango_net **nets = ud;
    mango_objective *f;
    mango_idx I[12] = {0};
    double y;
    MGI_TRY(mango_objective_create(&f, nets[0], nets[1], "copy:1", NULL, al, NULL));
    T_STATUS(mango_objective_eval(f, 1, I, &y), MANGO_OK);
    mango_objective_destroy(f);
    return MANGO_OK;
}

static void t_objective_objective_memory(void)
{
    mango_net *nets[2] = {t_objective_parse(t_objective_gen), t_objective_parse(t_objective_net)};
    T_REQUIRE(nets[0] && nets[1]);
    T_CHECK(t_oom_sweep(t_objective_make_objective, nets) > 5);
    mango_net_destroy(nets[0]), mango_net_destroy(nets[1]);
}

static void t_objective_unfit(void)
{
    mango_net *gen = t_objective_zoo("vqvae"), *net = t_objective_zoo("snn_conv,width=0.1");
    mango_objective_options o;
    mango_objective *a;
    mango_err err = {""};
    T_REQUIRE(gen && net);
    mango_objective_defaults(&o);
    T_STATUS(mango_objective_create(&a, gen, net, "spiking9:3", &o, NULL, &err),
             MANGO_E_NAME);
    T_STATUS(mango_objective_create(&a, net, net, "spiking1:3", &o, NULL, &err),
             MANGO_E_SHAPE);
    o.T = 5000;
    T_STATUS(mango_objective_create(&a, gen, net, "spiking1:3", &o, NULL, &err),
             MANGO_E_ARG);
    o.T = 0, o.batch = 5000;
    T_STATUS(mango_objective_create(&a, gen, net, "spiking1:3", &o, NULL, &err),
             MANGO_E_ARG);
    T_CHECK(a == NULL);
    mango_net_destroy(gen), mango_net_destroy(net);
}

void t_objective(void)
{
    T_CASE(t_objective_space);
    T_CASE(t_objective_spaces);
    T_CASE(t_objective_target);
    T_CASE(t_objective_exact);
    T_CASE(t_objective_all);
    T_CASE(t_objective_objective_memory);
    T_CASE(t_objective_unfit);
}
