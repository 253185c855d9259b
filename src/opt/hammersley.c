/* hammersley.c - scrambled Hammersley points: a search that covers the space evenly.
 *
 *     phi_p(k) = sum_i pi(a_i) p^(-i-1),  k = sum_i a_i p^i in the base of a prime p  (1)
 *     point k of N: u = ((k + 1/2)/N, phi_2(k+1), phi_3(k+1), phi_5(k+1), ...)       (2)
 *     level i of n where u lies in [i/n, (i+1)/n)
 * pi is a random permutation of the digits that leaves 0 where it is, one for each base.
 * When N is not known (points=0) the first coordinate has a base as well: Halton's points,
 * whose first k are even for every k. After N points come N others: (1) goes on.
 * Past the base 1,000 no digit would come again within the points that are asked: there u
 * is a random number.
 * Source: Hammersley, 1960; Halton, Numer. Math. 2, 1960; scrambled as in Nevergrad's
 * ScrHammersleySearch, a part of its Portfolio; Braaten and Weller, J. Comput. Phys., 1979.
 * SPDX-License-Identifier: MIT */
#include "../base/rng.h"
#include "method.h"

#define HAM_RNG 0x48414d01u      /* random coordinates */
#define HAM_SCRAMBLE 0x48414d02u /* permutations       */
#define HAM_PRIMES 168           /* below 1,000        */

static const mango_opt_spec ham_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"points", "how many will be asked, N; 0: not known", MANGO_OPT_INT, 0, 1 << 30, 0, 0,
     NULL, NULL},
};

typedef struct mgi_ham {
    mango_idx points, bases;
    mango_idx digits;       /* of all permutations */
    uint16_t p[HAM_PRIMES];
    uint16_t *pi;           /* (digits) that of each base after the one before it */
} mgi_ham;

/* The first n primes, n <= HAM_PRIMES; returns their sum. */
static mango_idx ham_primes(mango_idx n, uint16_t *p)
{
    mango_idx found = 0, sum = 0;
    for (uint16_t c = 2; found < n; c++) {
        mango_idx i = 0;
        while (i < found && c % p[i] != 0)
            i++;
        if (i < found)
            continue;
        p[found++] = c;
        sum += c;
    }
    return sum;
}

/* Digits 1 .. p-1 in a random order behind 0. */
static void ham_permute(uint64_t seed, uint16_t p, uint16_t *pi)
{
    mango_rng rng;
    mango_rng_init(&rng, seed, HAM_SCRAMBLE, p);
    for (uint16_t a = 0; a < p; a++)
        pi[a] = a;
    for (mango_idx a = p - 1; a > 1; a--) {
        const mango_idx b = 1 + mango_rng_int(&rng, a);
        const uint16_t t = pi[a];
        pi[a] = pi[b];
        pi[b] = t;
    }
}

static double ham_inverse(uint64_t k, uint64_t p, const uint16_t *pi)
{
    double u = 0.0, part = 1.0 / (double)p;
    for (; k > 0; k /= p) {
        u += part * (double)pi[k % p];                                          /* (1) */
        part /= (double)p;
    }
    return u;
}

/* A sum of digits that should be the edge of a level may be a rounding below it. */
static mango_idx ham_level(double u, mango_idx n)
{
    const mango_idx i = (mango_idx)(u * (double)n + 1e-9);
    return MGI_MIN(i, n - 1);
}

/* Point k of the sequence into I. */
static void ham_point(const mango_opt *o, uint64_t k, mango_idx *I)
{
    const mgi_ham *h = o->state;
    const uint16_t *pi = h->pi;
    const mango_idx first = h->points > 0;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, HAM_RNG, k);
    for (mango_idx j = 0; j < o->d; j++) {
        const mango_idx b = j - first;
        double u;
        if (b < 0)
            u = ((double)(k % (uint64_t)h->points) + 0.5) / (double)h->points;  /* (2) */
        else if (b < h->bases) {
            u = ham_inverse(k + 1, h->p[b], pi);
            pi += h->p[b];
        } else
            u = mango_rng_uniform(&rng);
        I[j] = ham_level(u, o->n[j]);
    }
}

static mango_status ham_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++)
        ham_point(o, o->asked + (uint64_t)k, I + k * o->d);
    return MANGO_OK;
}

static void ham_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    mgi_str_printf(s, "point %llu of the sequence",
                   (unsigned long long)(o->asked - (uint64_t)(o->last - k)));
}

static void ham_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_ham *h = o->state;
    mgi_str_printf(s, "%llu points asked, %td modes by primes up to %d\n",
                   (unsigned long long)o->asked, h->bases,
                   h->bases ? (int)h->p[h->bases - 1] : 0);
}

static void ham_destroy(mango_opt *o)
{
    mgi_ham *h = o->state;
    if (!h)
        return;
    mgi_del(&o->al, h->pi, h->digits, sizeof *h->pi);
    mgi_del(&o->al, h, 1, sizeof *h);
}

static mango_status ham_create(mango_opt *o, mango_err *err)
{
    mgi_ham *h = mgi_new(&o->al, 1, sizeof *h);
    o->state = h;
    if (!h)
        return mgi_fail(err, MANGO_E_MEM, "hammersley: out of memory");
    h->points = mgi_opt_int(o, "points");
    h->bases = MGI_MIN(o->d - (h->points > 0), HAM_PRIMES);
    h->digits = ham_primes(h->bases, h->p);
    h->pi = mgi_new(&o->al, h->digits, sizeof *h->pi);
    if (!h->pi)
        return mgi_fail(err, MANGO_E_MEM, "hammersley: out of memory");
    uint16_t *pi = h->pi;
    for (mango_idx b = 0; b < h->bases; pi += h->p[b], b++)
        ham_permute(o->seed, h->p[b], pi);
    o->batch = mgi_opt_int(o, "k");
    o->elite = 1; /* learns nothing; the best is kept */
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_hammersley(void)
{
    static const mgi_method method = {
        .name = "hammersley",
        .option = ham_option,
        .n_options = MGI_COUNT(ham_option),
        .oblivious = 1,
        .create = ham_create,
        .ask = ham_ask,
        .destroy = ham_destroy,
        .explain = ham_explain,
        .why = ham_why,
    };
    return &method;
}

#undef HAM_RNG
#undef HAM_SCRAMBLE
#undef HAM_PRIMES
