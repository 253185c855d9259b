/* fuzz_graph.c - any bytes as a network's text form; what is accepted is written
 * and parsed again.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    mango_net *net = NULL, *again = NULL;
    mgi_str s;
    mango_err err;
    if (n > 1 << 16 || mango_net_parse(&net, (const char *)p, (mango_idx)n, NULL, &err) < 0)
        return 0;
    mgi_str_init(&s, NULL);
    if (mgi_graph_write(net, &s) < 0 ||
        mango_net_parse(&again, s.p, s.n, NULL, &err) < 0)
        __builtin_trap();
    mgi_str_free(&s);
    mango_net_destroy(again);
    mango_net_destroy(net);
    return 0;
}
