/* match_view.h - the tensors of another program as one would have named them here.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_MATCH_VIEW_H
#define MGI_MATCH_VIEW_H

#include "graph.h"
#include "match.h"

/* mgi_view_new - the same tensors under other names, in this order:
 *   the user's renamings, o->rename;
 *   `_orig_mod` (torch.compile) and `module` (DataParallel) are taken out, wherever they
 *   stand, unless the net has such a name itself;
 *   names that other sources give to the same layers (downsample, shortcut; fc, linear; old
 *   DenseNet's norm.1) become those that the net has, where the net has no such name;
 *   weights that PyTorch keeps in parts become one: spectral_norm's W/(u.Wv) and
 *   weight_norm's g v/|v|, in either form.
 * The view answers values of the tensors behind it and needs them as long as it lives. */
typedef struct mgi_view mgi_view;
MGI_FN mango_status mgi_view_new(mgi_view **view, const mango_net *net, const mango_offers *o,
                                 mango_err *err);
MGI_FN const mango_offers *mgi_view_offers(const mgi_view *v);
/* The name that tensor i had. */
MGI_FN const char *mgi_view_source(const mgi_view *v, mango_idx i);
/* Is tensor i made from a spectral norm's parts? Then it is divided already. */
MGI_FN int mgi_view_spectral(const mgi_view *v, mango_idx i);
MGI_FN void mgi_view_free(mgi_view *v); /* NULL is fine */

/* Does a name hold the dotted part `part` ("norm.1"), whole? Where, or NULL. */
MGI_FN const char *mgi_name_part(const char *name, const char *part);

#endif
