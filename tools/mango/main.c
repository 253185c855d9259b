/* main.c - the `mango` command: finds the verb and runs it.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include <locale.h>

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
    {"bench", verb_bench, "measure speed"},
    {"version", verb_version, "print the version; --selftest hashes a short run"},
};

static int main_help(FILE *f)
{
    fprintf(f, "mango %s - most exciting inputs of (spiking) neurons, without gradients\n\n"
               "usage: mango VERB [options]\n\n",
            MANGO_VERSION);
    for (mango_idx i = 0; i < MGI_COUNT(main_verbs); i++)
        fprintf(f, "  %-8s %s\n", main_verbs[i].name, main_verbs[i].what);
    fprintf(f, "\n`mango VERB --help` shows a verb's options and examples. Every verb takes --json,\n"
               "--quiet, --threads N and --seed S. Exit codes: 0 done, 1 failure, 2 usage,\n"
               "3 input refused, 4 timed out, 130 interrupted with everything saved.\n");
    return f == stdout ? CLI_OK : CLI_USAGE;
}

int main(int argc, char **argv)
{
    const char *names[MGI_COUNT(main_verbs)];
    char near[256], clean[64];
    setlocale(LC_ALL, "C");
    if (argc < 2)
        return main_help(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return main_help(stdout);
    if (!strcmp(argv[1], "--version"))
        return verb_version(1, argv + 1);
    for (mango_idx i = 0; i < MGI_COUNT(main_verbs); i++) {
        names[i] = main_verbs[i].name;
        if (!strcmp(argv[1], names[i]))
            return main_verbs[i].run(argc - 1, argv + 1);
    }
    mgi_copy(clean, (mango_idx)sizeof clean, argv[1]);
    for (char *p = clean; *p; p++)
        *p = (unsigned char)*p < 32 || (unsigned char)*p > 126 ? '?' : *p;
    mgi_near(clean, MGI_COUNT(names), names, near, (mango_idx)sizeof near);
    fprintf(stderr, "mango: no verb '%s'; near: %s (`mango --help` lists all)\n", clean, near);
    return CLI_USAGE;
}
