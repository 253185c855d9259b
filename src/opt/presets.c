/* presets.c - the table of optimizers.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "method.h"

/* A row for each name: the method (mgi_method_NAME in a file of its own), options that
 * differ from the method's defaults, and what it is. */
#define PRESET_TABLE(ROW)                                                                \
    ROW("auto", auto, "", "ours: the methods that fit the space, under a bandit")        \
    ROW("tt", protes, "k=10,k_top=1,quantized=1",                                        \
        "tensor train (PROTES) that learns from the best of 10; modes of 2^q levels as bits")  \
    ROW("tt-paper", protes, "k=10,k_top=1",                                              \
        "the paper's TT exactly as published: the best of 10, modes not quantized")      \
    ROW("tt-s", protes, "k=5,k_top=1,quantized=1",                                       \
        "the paper's TT-s, quantized: learns from the best of 5")                        \
    ROW("tt-b", protes, "k=25,k_top=5,quantized=1",                                      \
        "the paper's TT-b, quantized: learns from the best 5 of 25")                     \
    ROW("tt-exp", protes, "lr=0.1,quantized=1",                                          \
        "TT that explores, quantized: the best 10 of 100, twice the learning rate")      \
    ROW("protes", protes, "", "PROTES as its authors publish it, not quantized")         \
    ROW("protes-plain", protes_plain, "",                                                \
        "PROTES written to be read: the same codes as protes, slower")                   \
    ROW("ttopt", ttopt, "", "TTOpt: entries of a cross approximation of rank 4, by maxvol")    \
    ROW("ttopt-q", ttopt, "quantized=1", "TTOpt on bits: modes of 2^q levels as q of 2") \
    ROW("optima-tt", optima_tt, "",                                                      \
        "Optima-TT: the largest entries of a cross approximation")                       \
    ROW("tesalocs", tesalocs, "",                                                        \
        "TESALOCS: samples of a tensor train, improved by local search")                 \
    ROW("portfolio", portfolio, "",                                                      \
        "the paper's Nevergrad portfolio: cma, de and hammersley in turn")               \
    ROW("cma", cma, "", "CMA-ES: learns which steps succeed, in a covariance matrix")    \
    ROW("sep-cma", sep_cma, "", "CMA-ES with a diagonal covariance: for many modes")     \
    ROW("diag-cma", sep_cma, "", "another name of sep-cma")                              \
    ROW("sphere-cma", sphere_cma, "", "an evolution strategy on a sphere: for latents")  \
    ROW("de", de, "", "differential evolution with two-point crossover")                 \
    ROW("hammersley", hammersley, "", "scrambled Hammersley points: covers the space evenly")  \
    ROW("one-plus-one", one_plus_one, "", "(1+1) evolution strategy: a mutant of the best")    \
    ROW("noisy-bandit", noisy_bandit, "", "a bandit of ever more codes, for noise")      \
    ROW("spsa", spsa, "", "a gradient from pairs of values (Spall)")                     \
    ROW("ga", ga, "", "genetic algorithm of closed-loop experiments: children of the best")    \
    ROW("ga-blocks", ga_blocks, "", "GA on a grid of codes: blocks, moved blocks, tiles")      \
    ROW("gp-codes", gp_codes, "",                                                        \
        "codes on a grid: references by a model, children screened")                     \
    ROW("gp-latent", gp_latent, "", "latents: candidates screened by a Gaussian process")      \
    ROW("gp-modes", gp_modes, "", "a Gaussian process on agreeing modes, and a climb on it")   \
    ROW("gradient", gradient, "", "sees the network inside: the upper reference")        \
    ROW("random", random, "", "uniform random search: the baseline that learns nothing")

#define PRESET_DECLARE(name, method, options, meaning) \
    MGI_FN const mgi_method *mgi_method_##method(void);
#define PRESET_ROW(name, method, options, meaning) \
    {name, mgi_method_##method, options, meaning},

PRESET_TABLE(PRESET_DECLARE)
static const mgi_preset preset_table[] = {PRESET_TABLE(PRESET_ROW)};

mango_idx mango_opt_presets(void)
{
    return MGI_COUNT(preset_table);
}

mango_status mango_opt_preset_sized(mango_idx i, mango_opt_preset_info *p, size_t size)
{
    MGI_REQUIRE(p && i >= 0 && i < MGI_COUNT(preset_table));
    const mgi_preset *row = preset_table + i;
    const mango_opt_preset_info own = {row->name, row->method()->name, row->meaning};
    mgi_info_out(p, size, &own, sizeof own);
    return MANGO_OK;
}

int mango_opt_white(const char *preset)
{
    const mgi_preset *p = mgi_preset_find(preset, NULL);
    return p && p->method()->white;
}

MGI_FN const mgi_preset *mgi_preset_find(const char *name, mango_err *err)
{
    const char *names[MGI_COUNT(preset_table)];
    char near[128];
    for (mango_idx i = 0; i < MGI_COUNT(preset_table); i++) {
        names[i] = preset_table[i].name;
        if (name && strcmp(name, names[i]) == 0)
            return preset_table + i;
    }
    mgi_near(name ? name : "", MGI_COUNT(preset_table), names, near, sizeof near);
    mgi_fail(err, MANGO_E_NAME, "optimizer '%.64s' is not known; near: %s",
             name ? name : "", near);
    return NULL;
}

#undef PRESET_TABLE
#undef PRESET_DECLARE
#undef PRESET_ROW
