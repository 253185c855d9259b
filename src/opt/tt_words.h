/* tt_words.h - what a tensor train has learnt, in words.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TT_WORDS_H
#define MGI_TT_WORDS_H

#include "../base/text.h"
#include "tt.h"

/* Appends the marginals w_j[i] = |sum of w over all codes with i_j = i| of the first modes,
 * as shares of their sum: of a mode of two levels the share of level 1, of others the
 * levels with the largest; and how far the modes are decided, 0 not at all, 1 wholly. */
MGI_FN void mgi_tt_words(const mgi_tt *t, mgi_str *s);

#endif
