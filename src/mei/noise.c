/* noise.c - the noise of a living network, put on values that have none.
 *
 * Counts of mean L are drawn exactly, in pieces of mean <= 16: a piece of mean m is the
 * number of uniform factors whose product stays above exp(-m)      (Knuth, TAOCP 2, 3.4.1).
 * SPDX-License-Identifier: MIT */
#include "noise.h"
#include "../base/rng.h"
#include "../base/real.h"
#include "../base/text.h"

#define NOISE_RNG 0x4e4f0000u  /* + the model's place; index: presentation or knot */
#define NOISE_WORDS "poisson|normal|mult|drop|drift"
#define NOISE_MOST 1e9
#define NOISE_EXACT 1e4 /* mean of a count above which it is a rounded normal one */
#define NOISE_PIECE 16.0
#define NOISE_KNOT 100  /* presentations from knot to knot */

/* ---- text ------------------------------------------------------------------- */

static mango_status noise_model(mango_noise *noise, const char *p, mango_idx n, mango_err *err)
{
    char word[64];
    double size;
    MGI_CHECK(err, noise->n < MANGO_NOISE_MODELS, "noise: at most %d models expected",
              (int)MANGO_NOISE_MODELS);
    MGI_CHECK(err, n < (mango_idx)sizeof word, "noise '%.60s': a shorter text expected", p);
    memcpy(word, p, (size_t)n);
    word[n] = 0;
    char *colon = strchr(word, ':');
    if (colon)
        *colon = 0;
    const int kind = mgi_word(NOISE_WORDS, word);
    if (kind < 0)
        return mgi_fail(err, MANGO_E_NAME, "noise '%.60s': poisson, normal, mult, drop or "
                        "drift expected", word);
    MGI_CHECK(err, colon && mgi_parse_real(colon + 1, &size) && size >= 0.0,
              "noise '%s': a number of 0 or more expected, as in %s:0.2", word, word);
    MGI_CHECK(err, size <= (kind == MANGO_NOISE_DROP ? 1.0 : NOISE_MOST),
              "noise '%s': %g is too large", word, size);
    MGI_CHECK(err, kind != MANGO_NOISE_POISSON || size > 0.0,
              "noise 'poisson': a rate above 0 expected");
    noise->kind[noise->n] = (mango_noise_kind)kind;
    noise->size[noise->n++] = size;
    return MANGO_OK;
}

mango_status mango_noise_parse(mango_noise *noise, const char *text, mango_err *err)
{
    mango_noise own;
    MGI_CHECK(err, noise && text && text[0], "noise: a text as poisson:30 expected");
    memset(&own, 0, sizeof own);
    for (const char *p = text;;) {
        const mango_idx n = (mango_idx)strcspn(p, "+,");
        MGI_TRY(noise_model(&own, p, n, err));
        if (p[n] == 0)
            break;
        p += n + 1;
    }
    *noise = own;
    return MANGO_OK;
}

mango_idx mango_noise_text(const mango_noise *noise, char *text, mango_idx cap)
{
    mgi_str s;
    if (!noise || cap < 0 || (cap > 0 && !text))
        return -1;
    mgi_str_init(&s, NULL);
    for (mango_idx i = 0; i < noise->n; i++) {
        mgi_str_puts(&s, i ? "+" : "");
        mgi_str_word(&s, NOISE_WORDS, (int)noise->kind[i]);
        mgi_str_puts(&s, ":");
        mgi_str_float(&s, noise->size[i]);
    }
    return mgi_str_out(&s, MANGO_OK, text, cap);
}

/* ---- draws ------------------------------------------------------------------ */

static double noise_piece(mango_rng *r, double mean)
{
    const double stop = mgi_exp(-mean);
    double product = mango_rng_uniform(r), n = 0.0;
    while (product > stop) {
        product *= mango_rng_uniform(r);
        n += 1.0;
    }
    return n;
}

static double noise_count(mango_rng *r, double mean)
{
    double n = 0.0;
    if (mean > NOISE_EXACT) {
        const double x = mean + sqrt(mean) * mango_rng_normal(r);
        return x > 0.0 ? floor(x + 0.5) : 0.0;
    }
    for (; mean > NOISE_PIECE; mean -= NOISE_PIECE)
        n += noise_piece(r, NOISE_PIECE);
    return mean > 0.0 ? n + noise_piece(r, mean) : n;
}

static double noise_knot(uint64_t seed, uint32_t purpose, uint64_t knot)
{
    mango_rng r;
    mango_rng_init(&r, seed, purpose, knot);
    return mango_rng_normal(&r);
}

/* (5) */
static double noise_drift(uint64_t seed, uint32_t purpose, uint64_t t)
{
    const uint64_t k = t / NOISE_KNOT;
    const double f = (double)(t % NOISE_KNOT) / NOISE_KNOT;
    return (1.0 - f) * noise_knot(seed, purpose, k) + f * noise_knot(seed, purpose, k + 1);
}

static double noise_one(mango_noise_kind kind, double size, uint64_t seed, uint32_t purpose,
                        uint64_t t, double y)
{
    mango_rng r;
    mango_rng_init(&r, seed, purpose, t);
    switch (kind) {
    case MANGO_NOISE_POISSON: return noise_count(&r, size * MGI_MAX(y, 0.0)) / size; /* (1) */
    case MANGO_NOISE_NORMAL: return y + size * mango_rng_normal(&r);                 /* (2) */
    case MANGO_NOISE_MULT: return y * (1.0 + size * mango_rng_normal(&r));           /* (3) */
    case MANGO_NOISE_DROP: return mango_rng_uniform(&r) < size ? MGI_NAN : y;        /* (4) */
    case MANGO_NOISE_DRIFT: return y * mgi_exp(size * noise_drift(seed, purpose, t)); /* (5) */
    }
    return y;
}

void mango_noise_apply(const mango_noise *noise, uint64_t seed, uint64_t first, mango_idx K,
                       double *y)
{
    for (mango_idx k = 0; noise && y && k < K; k++)
        for (mango_idx i = 0; i < noise->n && mgi_is_finite(y[k]); i++)
            y[k] = noise_one(noise->kind[i], noise->size[i], seed, NOISE_RNG + (uint32_t)i,
                             first + (uint64_t)k, y[k]);
}

mango_status mango_noisy_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_noisy *x = ud;
    MGI_REQUIRE(x && x->f);
    const mango_status st = x->f(x->ud, K, I, y);
    if (st != MANGO_OK)
        return st;
    mango_noise_apply(&x->noise, x->seed, x->next, K, y);
    x->next += (uint64_t)K;
    return MANGO_OK;
}

#undef NOISE_RNG
#undef NOISE_WORDS
#undef NOISE_MOST
#undef NOISE_EXACT
#undef NOISE_PIECE
#undef NOISE_KNOT
