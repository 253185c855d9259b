/* digest.c - which network is it: SHA-256 of graph and parameters.
 * SPDX-License-Identifier: MIT */
#include "../base/file.h"
#include "../base/real.h"
#include "../math/kernel/sha256.h"
#include "graph.h"

MGI_FN mango_status mgi_digest_begin(const mango_net *n, const mango_alloc *al, mgi_hash *h)
{
    mgi_str text;
    mgi_str_init(&text, al);
    mango_status st = mgi_graph_write(n, &text);
    if (st == MANGO_OK && text.bad)
        st = MANGO_E_MEM;
    if (st == MANGO_OK) {
        mgi_sha256_start(h);
        mgi_hash_add(h, text.p, text.n);
    }
    mgi_str_free(&text);
    return st;
}

static void digest_floats(mgi_hash *h, mango_idx n, const float *v)
{
    const uint32_t one = 1;
    unsigned char b[256];
    if (*(const unsigned char *)&one == 1) {
        mgi_hash_add(h, v, 4 * n);
        return;
    }
    for (mango_idx k = 0; k < n; k += 64) {
        const mango_idx m = MGI_MIN(64, n - k);
        for (mango_idx e = 0; e < 4 * m; e++) {
            uint32_t bits;
            memcpy(&bits, v + k + e / 4, sizeof bits);
            b[e] = (unsigned char)(bits >> (8 * (e % 4)) & 255);
        }
        mgi_hash_add(h, b, 4 * m);
    }
}

/* The same of halves in a file. */
static void digest_halves(mgi_hash *h, mango_idx n, const unsigned char *raw)
{
    float v[2048];
    for (mango_idx k = 0; k < n; k += MGI_COUNT(v)) {
        const mango_idx m = MGI_MIN(MGI_COUNT(v), n - k);
        mgi_file_halves(m, raw + 2 * k, v);
        digest_floats(h, m, v);
    }
}

MGI_FN void mgi_digest_end(const mango_net *n, mgi_hash *h, char hex[65])
{
    for (int i = 0; i < n->n_params; i++) {
        const mgi_param *p = n->param + i;
        mgi_hash_add(h, p->name, (mango_idx)strlen(p->name) + 1);
        if (p->v)
            digest_floats(h, p->count, p->v);
        else if (p->half)
            digest_halves(h, p->count, p->half);
    }
    mgi_hash_end(h, hex);
}

/* All parameters as halves, little-endian, in graph order. */
static void digest_as_halves(const mango_net *net, char hex[65])
{
    mgi_hash h;
    mgi_sha256_start(&h);
    for (int p = 0; p < net->n_params; p++)
        for (mango_idx i = 0; i < net->param[p].count; i++) {
            const uint16_t v = mgi_to_f16(net->param[p].v[i]);
            const unsigned char b[2] = {(unsigned char)(v & 255), (unsigned char)(v >> 8)};
            mgi_hash_add(&h, b, 2);
        }
    mgi_hash_end(&h, hex);
}

mango_status mango_net_digest(const mango_net *net, mango_digest what, char hex[65])
{
    mgi_hash h;
    MGI_REQUIRE(net && hex && (what == MANGO_DIGEST_ALL || what == MANGO_DIGEST_HALVES));
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].v && (what == MANGO_DIGEST_HALVES || !net->param[p].half))
            return MANGO_E_STATE;
    if (what == MANGO_DIGEST_HALVES) {
        digest_as_halves(net, hex);
        return MANGO_OK;
    }
    MGI_TRY(mgi_digest_begin(net, &net->al, &h));
    mgi_digest_end(net, &h, hex);
    return MANGO_OK;
}
