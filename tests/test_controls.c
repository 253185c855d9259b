/* test_controls.c - generators of any kind and what is done to their pictures: sizes,
 * colours, levels, masks; latents that say what they are; pixels; a picture's own function.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_CTL_SIDE = 16 };

/* A picture generator of 16x16 in three colours: its code is the picture. */
static mango_net *t_ctl_pixels(mango_idx C, mango_idx H, mango_idx W, mango_idx levels)
{
    mango_net *gen = NULL;
    mango_err err = {""};
    T_OK(mango_net_pixels(&gen, C, H, W, levels, NULL, &err), &err);
    return gen;
}

static mango_net *t_ctl_parse(const char *text)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err);
    if (net)
        T_STATUS(mango_net_fill(net, 5, 1.0), MANGO_OK);
    return net;
}

/* Code I as a picture of C,H,W (0: its own) under the controls c. */
static mango_status t_ctl_draw(const mango_net *gen, const mango_controls *c, mango_idx C,
                               mango_idx H, mango_idx W, const mango_idx *I, float *rgb)
{
    mango_drawing *d = NULL;
    mango_drawing_options o;
    mango_err err = {""};
    mango_drawing_defaults(&o);
    o.controls = c;
    o.C = C, o.H = H, o.W = W;
    const mango_status st = mango_drawing_create(&d, gen, &o, NULL, &err);
    if (st >= 0)
        T_OK(mango_drawing_codes(d, 1, I, rgb), NULL);
    mango_drawing_destroy(d);
    return st;
}

static double t_ctl_luminance(const float *rgb, mango_idx n, mango_idx p)
{
    return 0.299 * (double)rgb[p] + 0.587 * (double)rgb[n + p] + 0.114 * (double)rgb[2 * n + p];
}

static void t_ctl_noise(mango_idx n, mango_idx levels, mango_idx *I)
{
    mango_rng rng;
    mango_rng_init(&rng, 4, 2, 0);
    for (mango_idx i = 0; i < n; i++)
        I[i] = mango_rng_int(&rng, levels);
}

/* ---- levels ------------------------------------------------------------------------ */

static double t_ctl_tv(const float *x, mango_idx C, mango_idx H, mango_idx W)
{
    double sum = 0.0;
    for (mango_idx i = 0; i < C * H * W; i++) {
        sum += i % W + 1 < W ? fabs((double)x[i + 1] - (double)x[i]) : 0.0;
        sum += i / W % H + 1 < H ? fabs((double)x[i + W] - (double)x[i]) : 0.0;
    }
    return sum / (double)(C * H * W);
}

static void t_ctl_levels(void)
{
    enum { N = T_CTL_SIDE * T_CTL_SIDE };
    mango_net *gen = t_ctl_pixels(3, T_CTL_SIDE, T_CTL_SIDE, 16);
    mango_controls c;
    mango_idx I[3 * N];
    float rgb[3 * N], plain[3 * N];
    double M = 0.0, S = 0.0;
    T_REQUIRE(gen != NULL);
    t_ctl_noise(3 * N, 16, I);
    mango_controls_defaults(&c);
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, plain), NULL);
    for (mango_idx i = 0; i < 3 * N; i++) /* nothing asked for: the code itself, in 8 bits */
        T_CHECK(plain[i] == (float)I[i] * 17.0f / 255.0f);
    c.luminance = 0.4;
    c.contrast = 0.1;
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, rgb), NULL);
    for (mango_idx p = 0; p < N; p++)
        M += t_ctl_luminance(rgb, N, p) / N;
    for (mango_idx p = 0; p < N; p++)
        S += (t_ctl_luminance(rgb, N, p) - M) * (t_ctl_luminance(rgb, N, p) - M) / N;
    T_NEAR(M, 0.4, 1e-3);
    T_NEAR(sqrt(S), 0.1, 1e-3);
    const double before = t_ctl_tv(rgb, 3, T_CTL_SIDE, T_CTL_SIDE);
    c.tv = before / 3.0;
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, rgb), NULL);
    T_CHECK(t_ctl_tv(rgb, 3, T_CTL_SIDE, T_CTL_SIDE) <= c.tv + 0.004); /* 8 bits */
    T_CHECK(t_ctl_tv(rgb, 3, T_CTL_SIDE, T_CTL_SIDE) > 0.8 * c.tv);
    M = S = 0.0;
    for (mango_idx p = 0; p < N; p++)
        M += t_ctl_luminance(rgb, N, p) / N;
    for (mango_idx p = 0; p < N; p++)
        S += (t_ctl_luminance(rgb, N, p) - M) * (t_ctl_luminance(rgb, N, p) - M) / N;
    T_NEAR(M, 0.4, 1e-3);
    T_NEAR(sqrt(S), 0.1, 2e-3); /* both hold */
    c.tv = 1e-3;                /* more than blurs can do: contrast yields */
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, rgb), NULL);
    T_CHECK(t_ctl_tv(rgb, 3, T_CTL_SIDE, T_CTL_SIDE) < 0.004);
    mango_controls_defaults(&c);
    c.grey = 1;
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, rgb), NULL);
    for (mango_idx p = 0; p < N; p++) {
        T_NEAR((double)rgb[p], t_ctl_luminance(plain, N, p), 0.5 / 255.0 + 1e-6);
        T_CHECK(rgb[p] == rgb[N + p] && rgb[p] == rgb[2 * N + p]);
    }
    mango_net_destroy(gen);
}

/* ---- mask, size, colours ----------------------------------------------------------- */

static void t_ctl_mask(void)
{
    enum { N = T_CTL_SIDE * T_CTL_SIDE };
    mango_net *gen = t_ctl_pixels(1, T_CTL_SIDE, T_CTL_SIDE, 2);
    mango_controls c;
    mango_idx I[N];
    float rgb[N], wide[400];
    T_REQUIRE(gen != NULL);
    for (int i = 0; i < N; i++)
        I[i] = 1;
    mango_controls_defaults(&c);
    c.mask = 0.75;
    c.surround = 0.2;
    T_OK(t_ctl_draw(gen, &c, 0, 0, 0, I, rgb), NULL);
    for (int i = 0; i < N; i++) {
        const double y = i / T_CTL_SIDE - 7.5, x = i % T_CTL_SIDE - 7.5, far = sqrt(y * y + x * x);
        T_CHECK(far > 6.5 ? rgb[i] == 51.0f / 255.0f : far < 5.5 ? rgb[i] == 1.0f : rgb[i] > 0.2f);
    }
    mango_controls_defaults(&c);
    c.H = 8, c.W = 10;
    T_OK(t_ctl_draw(gen, &c, 1, 20, 20, I, wide), NULL); /* a white field on grey */
    for (int i = 0; i < 400; i++) {
        const int inside = i / 20 >= 6 && i / 20 < 14 && i % 20 >= 5 && i % 20 < 15;
        T_CHECK(wide[i] == (inside ? 1.0f : 128.0f / 255.0f));
    }
    c.H = 21;
    T_STATUS(t_ctl_draw(gen, &c, 1, 20, 20, I, wide), MANGO_E_ARG);
    c.H = 8, c.contrast = 0.6;
    T_STATUS(t_ctl_draw(gen, &c, 1, 20, 20, I, wide), MANGO_E_ARG);
    T_STATUS(t_ctl_draw(gen, NULL, 2, 16, 16, I, wide), MANGO_E_SHAPE);
    char text[128];
    c.grey = 1, c.contrast = 0.25;
    T_CHECK(mango_controls_text(&c, text, sizeof text) > 0);
    T_STR(text, "grey contrast=0.25 size=8x10 surround=0.5");
    mango_net_destroy(gen);
}

/* Against F.interpolate(x, size, mode="bilinear", antialias=True) of PyTorch 2, on a ramp of
 * squares 0 1 4 9 .. 225, in 255ths; and grey to colour. */
static void t_ctl_resize(void)
{
    static const double down[5] = {3.1648355, 20.401964, 57.990200, 115.69606, 185.96704};
    static const double up[8] = {0, 0.25, 0.75, 1.75, 3.25, 5.25, 7.75, 9};
    mango_net *gen = t_ctl_pixels(1, 1, 16, 256), *four = t_ctl_pixels(1, 1, 4, 256);
    mango_idx I[16];
    float rgb[24];
    T_REQUIRE(gen && four);
    for (int i = 0; i < 16; i++)
        I[i] = i * i;
    T_OK(t_ctl_draw(gen, NULL, 3, 1, 5, I, rgb), NULL);
    for (int i = 0; i < 15; i++)
        T_NEAR((double)rgb[i] * 255.0, down[i % 5], 0.501);
    T_OK(t_ctl_draw(four, NULL, 1, 1, 8, I, rgb), NULL); /* 0 1 4 9 */
    for (int i = 0; i < 8; i++)
        T_NEAR((double)rgb[i] * 255.0, up[i], 0.501);
    mango_net_destroy(gen), mango_net_destroy(four);
}

/* ---- latents ----------------------------------------------------------------------- */

static void t_ctl_latents(void)
{
    mango_net *gen = t_ctl_parse("mango-graph 1\nnet arch=own\ninput input - shape=8x1x1\n"
                                 "fc linear input out=12 bias=1\nmap reshape fc shape=3x2x2\n");
    mango_net *map = t_ctl_parse("mango-graph 1\nnet arch=own\ninput input - shape=2x3x3\n"
                                 "c conv input out=3 kernel=3 pad=1 bias=1\n");
    mango_space *s = NULL;
    mango_space_info info;
    mango_facts f;
    mango_err err = {""};
    T_REQUIRE(gen && map);
    T_STATUS(mango_net_meta_set(gen, "mango.latent_range", "0,30"), MANGO_OK);
    T_STATUS(mango_net_meta_set(gen, "mango.latent_levels", "31"), MANGO_OK);
    T_STATUS(mango_net_meta_set(gen, "mango.latent_prior", "uniform"), MANGO_OK);
    T_OK_OR_RETURN(mango_space_of(&s, gen, NULL, &err), &err);
    T_STATUS(mango_space_get(s, &info), MANGO_OK);
    T_CHECK(info.modes.d == 8 && info.modes.n[7] == 31 && info.lo == 0 && info.hi == 30);
    T_STATUS(mango_space_facts(s, &f), MANGO_OK);
    T_CHECK(f.prior == MANGO_PRIOR_NORMAL && f.prior_lo == -1 && f.prior_hi == 1);
    const mango_idx I[8] = {0, 1, 2, 3, 4, 5, 6, 30};
    float z[8];
    T_STATUS(mango_space_latent(s, 1, I, z), MANGO_OK);
    T_CHECK(z[3] == 3.0f && z[7] == 30.0f);
    mango_space_destroy(s);
    static const char *const bad[][2] = {{"mango.latent_range", "3,1"},
                                         {"mango.latent_range", "1"},
                                         {"mango.latent_levels", "1"},
                                         {"mango.latent_prior", "flat"}};
    static const char *const good[] = {"0,30", "0,30", "31", "none"};
    for (int i = 0; i < 4; i++) {
        T_STATUS(mango_net_meta_set(gen, bad[i][0], bad[i][1]), MANGO_OK);
        T_STATUS(mango_space_of(&s, gen, NULL, &err), MANGO_E_FORMAT);
        T_CHECK(strstr(err.text, bad[i][1]) != NULL);
        T_STATUS(mango_net_meta_set(gen, bad[i][0], good[i]), MANGO_OK);
    }
    T_OK_OR_RETURN(mango_space_of(&s, gen, NULL, &err), &err);
    T_STATUS(mango_space_facts(s, &f), MANGO_OK);
    T_CHECK(f.prior == MANGO_PRIOR_NONE);
    mango_space_destroy(s);
    T_STATUS(mango_space_of(&s, map, NULL, &err), MANGO_E_SHAPE);
    T_STATUS(mango_net_meta_set(map, "mango.latent_range", "-2,2"), MANGO_OK);
    T_OK_OR_RETURN(mango_space_of(&s, map, NULL, &err), &err);
    T_STATUS(mango_space_get(s, &info), MANGO_OK);
    T_CHECK(info.modes.d == 18);
    mango_space_destroy(s);
    mango_net_destroy(gen), mango_net_destroy(map);
}

/* Codes of an embedding are a grid of levels, with what they stand for as a codebook. */
static void t_ctl_embedding(void)
{
    mango_net *gen = t_ctl_parse("mango-graph 1\nnet arch=own\ninput input - shape=1x2x3\n"
                                 "e embedding input codes=5 dim=4\n"
                                 "c conv e out=3 kernel=1 bias=1\n");
    mango_space *s = NULL;
    mango_space_info info;
    mango_facts f;
    mango_err err = {""};
    float one[18], other[18];
    const mango_idx I[6] = {0, 1, 2, 3, 4, 0}, J[6] = {0, 1, 2, 3, 4, 1};
    T_REQUIRE(gen != NULL);
    T_OK_OR_RETURN(mango_space_of(&s, gen, NULL, &err), &err);
    T_STATUS(mango_space_get(s, &info), MANGO_OK);
    T_CHECK(info.modes.d == 6 && info.modes.n[5] == 5 && info.codebook && info.layer == -1);
    T_CHECK(info.H == 2 && info.W == 3);
    T_STATUS(mango_space_facts(s, &f), MANGO_OK);
    T_CHECK(f.H == 2 && f.W == 3 && f.level_dim == 4 && f.levels != NULL);
    T_OK(t_ctl_draw(gen, NULL, 0, 0, 0, I, one), NULL);
    T_OK(t_ctl_draw(gen, NULL, 0, 0, 0, J, other), NULL);
    for (int i = 0; i < 18; i++) {
        T_CHECK(i % 6 == 5 || one[i] == other[i]); /* only the last cell differs */
        T_CHECK(i % 6 != 5 || one[i] == one[i - 5]); /* the first has its code */
    }
    mango_space_destroy(s);
    mango_net_destroy(gen);
}

/* ---- searches ---------------------------------------------------------------------- */

typedef struct t_ctl_run {
    const mango_net *gen, *net;
    const mango_controls *controls;
    const char *opt, *journal;
    mango_idx budget;
    int resume;
    double y;
    float rgb[3 * 32 * 32];
} t_ctl_run;

static mango_status t_ctl_search(t_ctl_run *r, const char *target, mango_err *err)
{
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    mango_objective_defaults(&oo);
    MGI_TRY(mango_session_defaults(r->opt, &so, err));
    oo.controls = r->controls;
    so.budget = r->budget;
    so.seed = 3;
    so.sync = 0;
    so.journal = r->journal;
    so.resume = r->resume;
    MGI_TRY(mango_search_create(&s, r->gen, r->net, target, &oo, &so, NULL, err));
    const mango_status st = mango_search_run(s);
    T_STATUS(mango_search_best(s, &r->y, NULL, r->rgb), MANGO_OK);
    mango_search_destroy(s);
    return st;
}

/* What a 4096-d decoder in colour draws for a grey network of another size: every kind of
 * optimizer works on it, and the picture it reports gives the value it reports. */
static void t_ctl_wide(void)
{
    static const char *const opt[] = {"auto", "tt", "ga", "sep-cma", "random", "gp-latent"};
    mango_net *gen = t_ctl_parse("mango-graph 1\nnet arch=fc6 out_scale=0.5 out_shift=0.5\n"
                                 "input input - shape=4096x1x1\n"
                                 "fc linear input out=192 bias=1\n"
                                 "map reshape fc shape=3x8x8\nout tanh map\n");
    mango_net *net = t_ctl_parse("mango-graph 1\nnet arch=own\ninput input - shape=1x12x12\n"
                                 "c conv input out=4 kernel=3 bias=1\nr relu c\n");
    mango_objective *f = NULL;
    mango_err err = {""};
    T_REQUIRE(gen && net);
    T_STATUS(mango_net_meta_set(gen, "mango.latent_range", "-3,3"), MANGO_OK);
    T_OK_OR_RETURN(mango_objective_create(&f, NULL, net, "r:2", NULL, NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(opt); i++) {
        t_ctl_run r = {.gen = gen, .net = net, .opt = opt[i], .budget = 60};
        double y = 0.0;
        T_STATUS(t_ctl_search(&r, "r:2", &err), MANGO_STOP_BUDGET);
        T_STATUS(mango_objective_look(f, 1, r.rgb, &y), MANGO_OK);
        T_CHECK(y == r.y && y > 0.0);
    }
    mango_objective_destroy(f);
    mango_net_destroy(gen), mango_net_destroy(net);
}

/* Under controls, halves of a search are the whole; with others it is refused. */
static void t_ctl_resume(void)
{
    mango_net *gen = t_ctl_parse("mango-graph 1\nnet arch=g out_scale=0.5 out_shift=0.5\n"
                                 "input input - shape=8x1x1\n"
                                 "fc linear input out=192 bias=1\n"
                                 "map reshape fc shape=3x8x8\nout tanh map\n");
    mango_net *net = t_ctl_parse("mango-graph 1\nnet arch=own\ninput input - shape=3x10x10\n"
                                 "c conv input out=4 kernel=3 bias=1\nr relu c\n");
    mango_controls c;
    mango_err err = {""};
    char journal[1000];
    T_REQUIRE(gen && net);
    snprintf(journal, sizeof journal, "%.900s", t_tmp("controls.jsonl"));
    mango_controls_defaults(&c);
    c.grey = 1, c.luminance = 0.45, c.contrast = 0.15, c.mask = 0.9;
    t_ctl_run whole = {.gen = gen, .net = net, .controls = &c, .opt = "auto", .budget = 80};
    T_STATUS(t_ctl_search(&whole, "r:1 - r:2", &err), MANGO_STOP_BUDGET);
    t_ctl_run half = whole;
    half.journal = journal, half.budget = 40;
    T_STATUS(t_ctl_search(&half, "r:1 - r:2", &err), MANGO_STOP_BUDGET);
    half.budget = 80, half.resume = 1;
    c.mask = 0.8;
    T_STATUS(t_ctl_search(&half, "r:1 - r:2", &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "controls") != NULL);
    half.controls = NULL;
    T_STATUS(t_ctl_search(&half, "r:1 - r:2", &err), MANGO_E_STATE);
    c.mask = 0.9;
    half.controls = &c;
    T_STATUS(mango_net_meta_set(gen, "mango.latent_range", "-3,3"), MANGO_OK);
    T_STATUS(t_ctl_search(&half, "r:1 - r:2", &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "latents") != NULL);
    T_STATUS(mango_net_meta_set(gen, "mango.latent_range", "-4,4"), MANGO_OK);
    T_STATUS(t_ctl_search(&half, "r:1 - r:2", &err), MANGO_STOP_BUDGET);
    T_CHECK(half.y == whole.y);
    T_MEM(half.rgb, whole.rgb, 300 * sizeof(float));
    mango_net_destroy(gen), mango_net_destroy(net);
}

/* ---- a function of pictures -------------------------------------------------------- */

/* How near a picture is to a ring. */
static mango_status t_ctl_ring(void *ud, mango_idx K, const float *rgb, double *y)
{
    mango_idx *calls = ud;
    for (mango_idx k = 0; k < K; k++) {
        y[k] = 0.0;
        for (int i = 0; i < 36; i++) {
            const int ring = i / 6 == 0 || i / 6 == 5 || i % 6 == 0 || i % 6 == 5;
            const double off = (double)rgb[k * 36 + i] - ring;
            y[k] -= off * off / 36.0;
        }
    }
    calls[0] += K;
    return MANGO_OK;
}

static void t_ctl_pictures(void)
{
    mango_net *gen = t_ctl_pixels(1, 6, 6, 4);
    mango_session_options so;
    mango_search *s = NULL;
    mango_err err = {""};
    mango_idx calls = 0, I[36];
    float rgb[36];
    double y, again;
    T_REQUIRE(gen != NULL);
    T_STATUS(mango_session_defaults("ga", &so, NULL), MANGO_OK);
    so.budget = 3000;
    so.seed = 1;
    T_OK_OR_RETURN(mango_search_create_pictures(&s, gen, t_ctl_ring, &calls, "ring", NULL, &so,
                                                NULL, &err), &err);
    T_CHECK(mango_search_objective(s) == NULL);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    T_STATUS(mango_search_best(s, &y, I, rgb), MANGO_OK);
    T_CHECK(calls == 3000 && y > -0.03);
    T_STATUS(t_ctl_ring(&calls, 1, rgb, &again), MANGO_OK);
    T_CHECK(again == y);
    mango_search_rest(s);
    T_STATUS(mango_search_step(s), MANGO_E_STATE);
    mango_search_destroy(s);
    T_STATUS(mango_search_create_pictures(&s, gen, NULL, NULL, "x", NULL, NULL, NULL, &err),
             MANGO_E_ARG);
    mango_net_destroy(gen);
    T_STATUS(mango_net_pixels(&gen, 0, 2, 2, 2, NULL, &err), MANGO_E_ARG);
    T_CHECK(gen == NULL);
}

/* ---- memory ------------------------------------------------------------------------ */

static mango_status t_ctl_make(void *ud, const mango_alloc *al)
{
    mango_net *gen = NULL;
    mango_drawing *d = NULL;
    mango_drawing_options o;
    mango_controls c;
    (void)ud;
    mango_controls_defaults(&c);
    c.tv = 0.1;
    mango_drawing_defaults(&o);
    o.controls = &c;
    o.C = 3, o.H = 5, o.W = 9;
    mango_status st = mango_net_pixels(&gen, 1, 4, 4, 8, al, NULL);
    if (st == MANGO_OK)
        st = mango_drawing_create(&d, gen, &o, al, NULL);
    mango_drawing_destroy(d);
    mango_net_destroy(gen);
    return st;
}

static void t_ctl_memory(void)
{
    T_CHECK(t_oom_sweep(t_ctl_make, NULL) > 10);
}

void t_controls(void)
{
    T_CASE(t_ctl_levels);
    T_CASE(t_ctl_mask);
    T_CASE(t_ctl_resize);
    T_CASE(t_ctl_latents);
    T_CASE(t_ctl_embedding);
    T_CASE(t_ctl_wide);
    T_CASE(t_ctl_resume);
    T_CASE(t_ctl_pictures);
    T_CASE(t_ctl_memory);
}
