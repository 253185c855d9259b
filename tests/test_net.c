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
    T_STATUS(mango_net_get(n, &o, sizeof o), MANGO_OK);
    T_CHECK(!strcmp(o.arch, "tiny") && o.layers == 4 && o.params == 3 && o.T == 3);
    T_CHECK(o.input == 0 && o.output == 3 && o.spiking == 1 && o.latent_classes == -1);
    T_CHECK(o.mean[2] == 0.5f && o.std[0] == 0.25f && o.out_scale == 1 && o.out_shift == 0);
    T_CHECK(o.macs == 25 * 3 * 4 * 9 + 3 * 100 * 2);
    T_STATUS(mango_net_layer(n, 1, &l, sizeof l), MANGO_OK);
    T_CHECK(l.macs == 2700 && l.macs_inside == 3 * 4 * 13 * 13 && l.timed == 0 && !l.lif);
    T_STATUS(mango_net_layer(n, 2, &l, sizeof l), MANGO_OK);
    T_CHECK(l.lif && l.lif->beta == 0.5f && l.timed && l.inputs == 1);
    T_CHECK(mango_net_layer_input(n, 2, 0) == 1 && mango_net_layer_input(n, 2, 1) == -1);
    T_STATUS(mango_net_param_at(n, 1, &p, sizeof p), MANGO_OK);
    T_CHECK(!strcmp(p.name, "c.bias") && p.rank == 1 && p.count == 4 && p.trained && !p.values);
    T_STATUS(mango_net_param_at(n, 3, &p, sizeof p), MANGO_E_ARG);
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
    T_STATUS(mango_net_get(n, &o, sizeof o), MANGO_OK);
    T_CHECK(o.mean[1] == 0.2f && o.std[2] == 0.3f);
    T_STATUS(mango_net_get(NULL, &o, sizeof o), MANGO_E_ARG);
    T_CHECK(mango_net_layers(NULL) == -1 && mango_net_params(NULL) == -1);
    T_STATUS(mango_net_load(&n, NULL, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mango_net_load") != NULL);
    mango_net_destroy(n);
}

void t_net(void)
{
    T_CASE(t_net_public);
}
