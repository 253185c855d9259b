/* lifrule.h - from the public rule record to the one the kernels take.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_LIFRULE_H
#define MGI_LIFRULE_H

#include "../math/kernel/lifstep.h"
#include "lif.h"

/* rule must have passed mango_lif_check. For loops that call the kernel table
 * without the checks of mango_lif_step on every step. */
MGI_FN mgi_lif_rule mgi_lif_lower(const mango_lif *rule);
/* The membrane before the first step: 0, or U_reset in tau form. */
MGI_FN float mgi_lif_rest(const mango_lif *rule);

#endif
