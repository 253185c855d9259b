/* test_compute.c - the public names of the arithmetic; what an input of a layer costs.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static void t_compute_kernels(void)
{
    mango_kernels_info info = {0};
    int known = 0;
    T_STATUS(mango_kernels_get(&info), MANGO_OK);
    T_REQUIRE(info.name != NULL);
    for (mango_idx i = 0; mango_kernels_name(i); i++)
        known += !strcmp(mango_kernels_name(i), info.name);
    T_EQ(known, 1);
    T_STR(info.name, mgi_kernels_get()->name);
    T_EQ(info.rows, mgi_kernels_get()->mr);
    T_EQ(info.columns, mgi_kernels_get()->nr);
    T_CHECK(mango_kernels_name(-1) == NULL);
    T_STATUS(mango_kernels_get_sized(NULL, sizeof info), MANGO_E_ARG);
    T_EQ(mango_peak(3), 3.0 * 128 * info.rows * info.columns * mango_threads());
    T_EQ(mango_peak(0), -1);
    const double one[2] = {mango_exp(1.0), mgi_exp(1.0)},
                 two[2] = {mango_log(2.0), mgi_log(2.0)};
    T_CHECK(one[0] == one[1] && two[0] == two[1]);
}

static void t_compute_gemm(void)
{
    enum { M = 37, N = 29, K = 53 };
    static float A[M * K], B[K * N], C[M * N], want[M * N];
    const mango_idx n = mango_gemm_work(M, N, K);
    T_REQUIRE(n >= 0);
    float *work = calloc((size_t)n + 1, sizeof *work);
    mango_fill_u("a", 1, M * K, A);
    mango_fill_u("b", 1, K * N, B);
    mgi_gemm_ref('n', 'n', M, N, K, A, K, B, N, want, N, 0);
    T_STATUS(mango_gemm(M, N, K, A, B, C, work), MANGO_OK);
    T_MEM(C, want, sizeof C);
    T_STATUS(mango_gemm(M, N, K, A, B, NULL, work), MANGO_E_ARG);
    T_STATUS(mango_gemm(0, N, K, A, B, C, work), MANGO_E_ARG);
    T_EQ(mango_gemm_work(PTRDIFF_MAX / 2, 3, 1), -1);
    free(work);
}

/* Over floats and over spikes: the same bits, those of the plain loop. */
static void t_compute_conv(void)
{
    enum { C = 70, H = 7, W = 6, O = 33, N = 3, WORDS = 2 };
    const mango_conv_shape s = {C, H, W, O, 3, 3, 2, 1, 1, 1};
    mango_conv *c = NULL;
    mango_conv_info info = {0};
    mango_err err = {""};
    static float w[O * C * 9], x[N * H * W * C], y[N * H * W * O], z[N * H * W * O],
        want[N * H * W * O];
    static uint64_t bits[N * H * W * WORDS];
    mango_fill_u("w", 1, MGI_COUNT(w), w);
    mango_fill_u("x", 1, MGI_COUNT(x), x);
    for (mango_idx i = 0; i < MGI_COUNT(x); i++) {
        x[i] = x[i] > 0.6f ? 1.0f : 0.0f;
        bits[i / C * WORDS + i % C / 64] |= (uint64_t)(x[i] > 0) << (i % C % 64);
    }
    T_OK_OR_RETURN(mango_conv_create(&c, &s, N, w, NULL, &err), &err);
    T_STATUS(mango_conv_get(c, &info), MANGO_OK);
    T_EQ(info.H, 4);
    T_EQ(info.W, 6);
    T_EQ(info.macs, 70.0 * 33 * (2 + 3 + 3 + 2) * (2 + 3 + 3 + 3 + 3 + 2));
    mgi_conv plain = {.C = C,
                      .H = H,
                      .W = W,
                      .O = O,
                      .kh = 3,
                      .kw = 3,
                      .sh = 2,
                      .sw = 1,
                      .ph = 1,
                      .pw = 1};
    T_REQUIRE(mgi_conv_shape(&plain));
    mgi_conv_forward_ref(&plain, N, x, w, NULL, want);
    T_STATUS(mango_conv_run(c, x, y), MANGO_OK);
    T_STATUS(mango_conv_spikes(c, bits, z), MANGO_OK);
    const size_t size = sizeof(float) * (size_t)(N * info.H * info.W * O);
    T_MEM(y, want, size);
    T_MEM(z, want, size);
    T_STATUS(mango_conv_run(c, NULL, y), MANGO_E_ARG);
    mango_conv_destroy(c);
    mango_conv_destroy(NULL);
    mango_conv_shape bad = s;
    bad.sh = 0;
    T_STATUS(mango_conv_create(&c, &bad, N, w, NULL, &err), MANGO_E_ARG);
    bad = s, bad.kh = 30;
    T_STATUS(mango_conv_create(&c, &bad, N, w, NULL, &err), MANGO_E_SHAPE);
    T_CHECK(c == NULL && strstr(err.text, "mango_conv_create"));
}

/* What all values of the input cost together is what the layer costs. */
static void t_compute_uses(void)
{
    static const char *const spec[] = {"snn_conv,width=0.25", "resnet18,width=0.25",
                                       "vqvae,width=0.25"};
    mango_err err = {""};
    for (mango_idx k = 0; k < MGI_COUNT(spec); k++) {
        mango_net *n = NULL;
        T_OK_OR_RETURN(mango_net_zoo(&n, spec[k], NULL, &err), &err);
        for (mango_idx i = 0; i < mango_net_layers(n); i++) {
            mango_layer l, in;
            mango_net_layer(n, i, &l);
            if (strcmp(l.kind, "conv") && strcmp(l.kind, "linear"))
                continue;
            mango_net_layer(n, mango_net_layer_input(n, i, 0), &in);
            double sum = 0;
            for (mango_idx y = 0; y < in.H; y++)
                for (mango_idx x = 0; x < in.W; x++)
                    sum += (double)in.C * mango_net_layer_uses(n, i, y, x);
            T_EQ(sum, l.macs_inside);
        }
        T_EQ(mango_net_layer_uses(n, -1, 0, 0), 0);
        mango_net_destroy(n);
    }
}

static void t_compute_selftest(void)
{
    uint64_t hash = 0;
    T_STATUS(mango_selftest(&hash), MANGO_OK);
    T_CHECK(hash == MANGO_SELFTEST_HASH);
    T_STATUS(mango_selftest(NULL), MANGO_E_ARG);
}

void t_compute(void)
{
    T_CASE(t_compute_kernels);
    T_CASE(t_compute_gemm);
    T_CASE(t_compute_conv);
    T_CASE(t_compute_uses);
    T_CASE(t_compute_selftest);
}
