/* main.c - the `mango` command: finds the verb and runs it.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "system.h"
#include <locale.h>
#include <stdlib.h>

typedef struct main_verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} main_verb;

static const main_verb main_verbs[] = {
    {"mei", verb_mei, "find the picture that excites a neuron most"},
    {"run", verb_run, "run a network on inputs, record its layers"},
    {"decode", verb_decode, "draw codes with a generator"},
    {"encode", verb_encode, "turn pictures into VQ-VAE codes"},
    {"import", verb_import, "make a weights file from a PyTorch checkpoint"},
    {"info", verb_info, "describe a weights file, a network, a checkpoint"},
    {"eval", verb_eval, "accuracy or reconstruction error on a data set"},
    {"train", verb_train, "train a network, a VQ-VAE or an SN-GAN"},
    {"data", verb_data, "check or fetch a data set"},
    {"bench", verb_bench, "measure speed; compare optimizers"},
    {"version", verb_version, "print the version; --selftest hashes a short run"},
};

static int main_help(FILE *f)
{
    fprintf(f,
            "mango %s - most exciting inputs of (spiking) neurons, without gradients\n\n"
            "usage: mango VERB [options]\n\n",
            MANGO_VERSION);
    for (mango_idx i = 0; i < MGI_COUNT(main_verbs); i++)
        fprintf(f, "  %-8s %s\n", main_verbs[i].name, main_verbs[i].what);
    fprintf(f,
            "\n`mango VERB --help` shows a verb's options and examples. Every verb takes "
            "--json,\n"
            "--quiet, --threads N and --seed S. Exit codes: 0 done, 1 failure, 2 usage,\n"
            "3 input refused, 4 timed out, 130 interrupted with everything saved.\n");
    return f == stdout ? CLI_OK : CLI_USAGE;
}

/* Run the verb that argv[0] names; `help VERB` is `VERB --help`. */
static int main_run(int argc, char **argv)
{
    const char *names[MGI_COUNT(main_verbs)];
    char near[256], clean[64], *help[] = {argv[0], (char *)"--help", NULL};
    if (!strcmp(argv[0], "help") && argc > 1) {
        help[0] = argv[1];
        return main_run(2, help);
    }
    if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h") || !strcmp(argv[0], "help"))
        return main_help(stdout);
    if (!strcmp(argv[0], "--version"))
        return verb_version(1, argv);
    for (mango_idx i = 0; i < MGI_COUNT(main_verbs); i++) {
        names[i] = main_verbs[i].name;
        if (!strcmp(argv[0], names[i]))
            return main_verbs[i].run(argc, argv);
    }
    mgi_copy(clean, (mango_idx)sizeof clean, argv[0]);
    cli_escape(clean);
    mgi_near(clean, MGI_COUNT(names), names, near, (mango_idx)sizeof near);
    fprintf(stderr, "mango: no verb '%s'; near: %s (`mango --help` lists all)\n", clean,
            near);
    return CLI_USAGE;
}

/* MANGO_SIMD must name a kernel set, and one that this machine has. */
static int main_kernels(cli *c)
{
    const char *want = getenv("MANGO_SIMD"), *have;
    if (!want || !*want || !strcmp(want, have = cli_kernels()))
        return CLI_OK;
    for (mango_idx i = 0; mango_kernels_name(i); i++)
        if (!strcmp(want, mango_kernels_name(i))) {
            cli_note(c, "MANGO_SIMD=%s: not on this machine, %s it is", want, have);
            return CLI_OK;
        }
    return cli_failf(c, CLI_USAGE,
                     "MANGO_SIMD=%s: one of ref, sse2, avx2, avx512, neon expected", want);
}

int main(int argc, char **argv)
{
    cli c;
    memset(&c, 0, sizeof c);
    sys_start();
    setlocale(LC_ALL, "C");
    cli_ignore_signals();
    if (main_kernels(&c) != CLI_OK)
        return CLI_USAGE;
    if (argc < 2)
        return main_help(stderr);
    return cli_close(&c, main_run(argc - 1, argv + 1));
}
