/* train_start.c - where a training starts.
 * SPDX-License-Identifier: MIT */
#include "train_start.h"
#include <string.h>

mango_status train_zoo(mango_net **net, const char *spec, mango_train_kind kind, uint64_t seed,
                       mango_err *err)
{
    if (cli_is_blank(spec))
        MGI_TRY(cli_net_blank(net, spec, err));
    else
        MGI_TRY(mango_net_zoo(net, spec, NULL, err));
    return mango_train_init(*net, kind, seed, err);
}

mango_status train_trained(mango_net **net, const char *option, const char *path,
                           mango_err *err)
{
    if (cli_is_blank(path))
        return mgi_fail(err, MANGO_E_ARG,
                        "%s %.100s: has no weights; expected a trained network's file",
                        option, path);
    return cli_net(net, path, NULL, err);
}

/* A generator's branch of classes that old has none like starts from l1's values. */
static void start_branch(mango_net *net, const mango_net *old, int learned)
{
    const mango_idx s = cli_info(net).latent_classes, was = cli_info(old).latent_classes;
    if (s >= 0 && (was < 0 || cli_layer(old, was).C != cli_layer(net, s).C))
        mango_train_latent_classes(net, cli_layer(net, s).C, learned);
}

mango_status train_start(mango_net **net, const char *arch, const char *from, int widen,
                         mango_train_kind kind, uint64_t seed, cli *c, mango_err *err)
{
    mango_net *old = NULL;
    mango_idx set = 0;
    if (widen && (!arch || !from))
        return mgi_fail(err, MANGO_E_ARG,
                        "--widen needs a wider architecture and the weights to start from");
    if (!arch)
        return train_trained(net, "--from", from, err);
    MGI_TRY(train_zoo(net, arch, kind, seed, err));
    if (!from)
        return MANGO_OK;
    MGI_TRY(train_trained(&old, "--from", from, err));
    const mango_status st = widen ? mango_train_widen(*net, old, seed, &set, err) : MANGO_OK;
    if (!widen)
        set = mango_net_borrow(*net, old);
    if (st >= 0 && set > 0 && cli_info(*net).spiking && !cli_info(old).spiking)
        cli_note(c, "%td norms moved to the neurons' threshold", mango_train_from_relu(*net));
    const char *classes = mango_net_meta_get(old, CLI_LATENT_CLASSES);
    start_branch(*net, old, classes != NULL);
    const mango_status kept =
        classes ? mango_net_meta_set(*net, CLI_LATENT_CLASSES, classes) : MANGO_OK;
    mango_net_destroy(old);
    MGI_TRY(st);
    MGI_TRY(kept);
    if (set < 0)
        return MANGO_E_MEM;
    if (set == 0)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "--from %.150s: no parameter has a name and shape of --arch %.60s",
                        from, arch);
    cli_note(c, "%td of %td parameters from %s%s", set, mango_net_params(*net), from,
             widen ? ", widened" : "");
    return MANGO_OK;
}

void train_classes(mango_net *gen, const mango_net *dsc, cli *c)
{
    const mango_idx K = cli_layer(dsc, -1).C;
    if (K < 2 || mango_net_meta_get(gen, CLI_LATENT_CLASSES) ||
        cli_info(gen).latent_classes >= 0)
        return;
    const double gain = mango_train_latent_classes(gen, K, 0);
    if (gain > 0)
        cli_note(c, "the first %td latents stand for classes: %.3g times as loud as before",
                 K, gain);
}
