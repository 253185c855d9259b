/* test_gemm.c - products and elementwise kernels of every set, bit for bit
 * against the plain loops.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_gemm_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

/* The best set of this CPU, whatever MANGO_SIMD says. */
static const char *t_gemm_best(void)
{
    const char *best = "ref";
    for (mango_idx i = 0; i < MGI_COUNT(t_gemm_sets); i++)
        if (mgi_kernels_named(t_gemm_sets[i]))
            best = t_gemm_sets[i];
    return best;
}

/* Numbers of mixed size, so that another order of summation shows. */
static void t_gemm_fill(mango_rng *r, mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i++) {
        const float u = 2.0f * mango_rng_uniformf(r) - 1.0f;
        x[i] = u * (float)(1 << mango_rng_int(r, 8));
    }
}

/* Index of the first element that differs (zeros of either sign are equal), or -1. */
static mango_idx t_gemm_differs(mango_idx n, const float *x, const float *y)
{
    for (mango_idx i = 0; i < n; i++)
        if (!(x[i] == y[i]))
            return i;
    return -1;
}

static void t_gemm_shape(const char *set, mango_rng *r, mango_idx M, mango_idx N, mango_idx K)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const mango_idx lda = MGI_MAX(M, K) + 3, ldb = MGI_MAX(N, K) + 1, ldc = N + 2;
    const mango_idx na = MGI_MAX(M, K) * lda, nb = MGI_MAX(N, K) * ldb, nc = M * ldc;
    float *A = mgi_new(&al, na + nb + 3 * nc, sizeof *A), *B = A + na, *C = B + nb;
    float *want = C + nc, *got = want + nc;
    t_gemm_fill(r, na + nb + nc, A);
    for (int v = 0; v < 8; v++) {
        const int opa = v & 1 ? 't' : 'n', opb = v & 2 ? 't' : 'n', load = v >> 2;
        const mango_idx nw = mgi_gemm_work(M, N, K, opa, opb);
        float *work = mgi_new(&al, nw, sizeof *work);
        memcpy(want, C, (size_t)nc * sizeof *C);
        memcpy(got, C, (size_t)nc * sizeof *C);
        mgi_gemm_ref(opa, opb, M, N, K, A, lda, B, ldb, want, ldc, load);
        mgi_gemm(opa, opb, M, N, K, A, lda, B, ldb, got, ldc, load, work);
        const mango_idx at = t_gemm_differs(nc, want, got);
        char what[120];
        snprintf(what, sizeof what, "%s: M %d N %d K %d op %c%c load %d, element %d", set, (int)M,
                 (int)N, (int)K, opa, opb, load, (int)at);
        t_check(at < 0, what, __FILE__, __LINE__);
        mgi_del(&al, work, nw, sizeof *work);
    }
    mgi_del(&al, A, na + nb + 3 * nc, sizeof *A);
}

static void t_gemm_products(void)
{
    /* several blocks of k, of rows, of columns; rows on the same cache sets */
    static const int big[][3] = {{61, 40, 600},  {130, 70, 33},  {1, 100, 577}, {29, 3, 1021},
                                 {250, 33, 17}, {2, 1060, 40},  {115, 17, 1740}};
    const int threads = mango_threads();
    for (mango_idx s = 0; s < MGI_COUNT(t_gemm_sets); s++) {
        mango_rng r;
        mango_rng_init(&r, 11, 1, 0);
        if (!mgi_kernels_force(t_gemm_sets[s]))
            continue;
        for (int i = 0; i < 40; i++) {
            mango_set_threads(1 + i % 2);
            t_gemm_shape(t_gemm_sets[s], &r, 1 + mango_rng_int(&r, 40), 1 + mango_rng_int(&r, 70),
                         mango_rng_int(&r, 50));
        }
        for (mango_idx i = 0; i < MGI_COUNT(big); i++, mango_set_threads(1 + (int)(i % 3)))
            t_gemm_shape(t_gemm_sets[s], &r, big[i][0], big[i][1], big[i][2]);
    }
    mango_set_threads(threads);
    mgi_kernels_force(t_gemm_best());
}

/* Sums near the limits of the format: underflow, overflow, cancellation. */
static void t_gemm_extremes(void)
{
    static const float v[] = {0.0f, -0.0f, 1.0f, -1.0f, 0x1p-149f, -0x1p-126f, 0x1.fffffep-127f,
                              0x1.fffffep127f, -0x1.fffffep127f, 0x1.000002p-75f, 0x1.800002p-74f,
                              0x1.000002p0f, 0x1.fffffep23f, -0x1.000002p-24f, 3.0e-30f, 7.0e19f};
    enum { N = 16 };
    for (mango_idx s = 0; s < MGI_COUNT(t_gemm_sets); s++) {
        const mgi_kernels *k = mgi_kernels_named(t_gemm_sets[s]);
        float want[N], got[N];
        for (int a = 0; k && a < N; a++)
            for (int c = 0; c < N; c++) {
                for (int i = 0; i < N; i++) {
                    want[i] = mgi_fmaf(v[a], v[i], v[(i + c) % N]);
                    got[i] = v[(i + c) % N];
                }
                const mgi_tap run = {0, 0, 1};
                for (mango_idx i = 0; i < N; i += k->nr)
                    k->outer(1, MGI_MIN(k->nr, N - i), v + a, 1, v + i, 1, 1, &run, got + i, N, 1);
                t_check(memcmp(want, got, sizeof got) == 0, k->name, __FILE__, __LINE__);
            }
    }
}

/* Elementwise entries against the plain ones, odd sizes. */
static void t_gemm_elementwise(void)
{
    const mgi_kernels *ref = mgi_kernels_named("ref");
    enum { N = 83 };
    float x[N], y[N], a[N], b[N], t[N], u[N];
    mango_idx off[4] = {3, 20, 37, 60};
    mango_rng r;
    mango_rng_init(&r, 5, 2, 0);
    t_gemm_fill(&r, N, x);
    t_gemm_fill(&r, N, y);
    t_gemm_fill(&r, N, t);
    t_gemm_fill(&r, N, u);
    x[7] = -0.0f, y[7] = 0.0f;
    for (mango_idx s = 1; s < MGI_COUNT(t_gemm_sets); s++) {
        const mgi_kernels *k = mgi_kernels_named(t_gemm_sets[s]);
        for (mango_idx n = 0; k && n <= N; n++) {
#define T_GEMM_BOTH(call, what)                                                                \
    do {                                                                                       \
        memcpy(a, y, sizeof y), memcpy(b, y, sizeof y);                                        \
        const mgi_kernels *f = ref;                                                            \
        float *o = a;                                                                          \
        call;                                                                                  \
        f = k, o = b;                                                                          \
        call;                                                                                  \
        t_check(memcmp(a, b, sizeof a) == 0, what, k->name, (int)n);                           \
    } while (0)
            T_GEMM_BOTH(f->add(n, x, t, o), "add");
            T_GEMM_BOTH(f->axpy(n, 1.7f, x, o), "axpy");
            T_GEMM_BOTH(f->relu(n, x, o), "relu");
            T_GEMM_BOTH(f->maximum(n, x, o), "maximum");
            T_GEMM_BOTH(f->scale_shift(n ? N / n : 0, n, t, u, x, o), "scale_shift");
            const mango_idx nf = MGI_MIN(n, 16);
            for (int v = 0; v < 8; v++)
                T_GEMM_BOTH(f->finish(4, nf, x, 20, off, v & 1 ? t : NULL, v & 2 ? u : NULL, v >> 2,
                                      o), "finish");
#undef T_GEMM_BOTH
        }
    }
}

/* The LIF entry against the plain loop, every rule, NaN and ties included. */
static void t_gemm_lif(void)
{
    enum { N = 45 };
    float x[N], u[N], U[2][N], S[2][N];
    mango_rng r;
    mango_rng_init(&r, 6, 2, 0);
    for (int i = 0; i < N; i++) {
        x[i] = 2.0f * mango_rng_uniformf(&r) - 0.5f;
        u[i] = i % 7 ? 2.0f * mango_rng_uniformf(&r) - 0.5f : 1.0f;
    }
    x[3] = mgi_from_bf16(0x7fc0);
    for (int v = 0; v < 36; v++) {
        const mgi_lif_rule k = {.charge = (mgi_charge)(v % 3),
                                .reset = (mgi_reset)(v / 3 % 3),
                                .delay = v / 9 % 2,
                                .on_equal = v / 18,
                                .beta = 0.9f,
                                .tau = 2.5f,
                                .gain = 0.75f,
                                .U_thr = 1.0f,
                                .U_rest = 0.1f,
                                .U_reset = -0.2f};
        for (mango_idx s = 0; s < MGI_COUNT(t_gemm_sets); s++) {
            const mgi_kernels *set = mgi_kernels_named(t_gemm_sets[s]);
            for (mango_idx n = 0; set && n <= N; n += 9) {
                memcpy(U[0], u, sizeof u), memcpy(U[1], u, sizeof u);
                memset(S, 0, sizeof S);
                mgi_lif_ref(n, &k, x, U[0], S[0]);
                set->lif(n, &k, x, U[1], S[1]);
                U[0][3] = U[1][3] = 0.0f; /* one NaN is as good as another */
                t_check(memcmp(U[0], U[1], sizeof u) == 0 && memcmp(S[0], S[1], sizeof u) == 0,
                        "lif", set->name, v);
            }
        }
    }
}

void t_gemm(void)
{
    T_CASE(t_gemm_products);
    T_CASE(t_gemm_extremes);
    T_CASE(t_gemm_elementwise);
    T_CASE(t_gemm_lif);
}
