/* mei_explain.h - `mango mei --explain N`: what the optimizer does, step by step.
 * SPDX-License-Identifier: MIT */
#ifndef MEI_EXPLAIN_H
#define MEI_EXPLAIN_H

#include "cli.h"

enum { MEI_EXPLAIN_ROWS = 24, MEI_EXPLAIN_WHY = 160 };

typedef struct mei_explain {
    cli *c;
    int64_t steps; /* that are still to be told of */
    int width;     /* of a line, in characters     */
    uint64_t seen; /* proposals so far             */
    int64_t step;
    mango_idx K; /* of the step under way        */
    char why[MEI_EXPLAIN_ROWS][MEI_EXPLAIN_WHY];
    char *last; /* what the optimizer said last */
} mei_explain;

/* steps 0: nothing is told. COLUMNS tells the width, else it is 80. */
void mei_explain_begin(mei_explain *e, cli *c, int64_t steps);
/* Before codes are shown: how the optimizer stands, and why each code was proposed. */
void mei_explain_ask(mei_explain *e, const mango_session *s);
/* After a step: the batch with its values, the elite marked, and what was learnt. */
void mei_explain_tell(mei_explain *e, const mango_session *s);
void mei_explain_end(mei_explain *e);

#endif
