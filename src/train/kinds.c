/* kinds.c - the table of trainings.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

static const mgi_trainer_kind *const kinds_table[] = {
    &mgi_trainer_net,   /* MANGO_TRAIN_NET   */
    &mgi_trainer_vqvae, /* MANGO_TRAIN_VQVAE */
    &mgi_trainer_sngan, /* MANGO_TRAIN_SNGAN */
};

MGI_FN const mgi_trainer_kind *mgi_trainer_kind_of(mango_train_kind kind)
{
    return (unsigned)kind < MGI_COUNT(kinds_table) ? kinds_table[kind] : NULL;
}

mango_status mango_train_kind_get_sized(mango_train_kind kind, mango_train_kind_info *info,
                                        size_t size)
{
    const mgi_trainer_kind *k = mgi_trainer_kind_of(kind);
    MGI_REQUIRE(k && info && size > 0);
    mgi_info_out(info, size, &k->info, sizeof k->info);
    return MANGO_OK;
}
