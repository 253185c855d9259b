/* test_base.c - sizes, memory, random numbers, portable math, text, JSON.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static void t_base_sizes(void)
{
    mango_idx r = 7;
    const mango_idx big = PTRDIFF_MAX;
    T_CHECK(mgi_mul(6, 7, &r) && r == 42);
    T_CHECK(mgi_mul(0, big, &r) && r == 0);
    T_CHECK(!mgi_mul(big / 2 + 1, 2, &r));
    T_CHECK(!mgi_mul(-1, 1, &r) && !mgi_mul(1, -1, &r));
    T_CHECK(mgi_add(big - 1, 1, &r) && r == big);
    T_CHECK(!mgi_add(big, 1, &r) && !mgi_add(-1, 2, &r));
    const mango_idx some[3] = {2, 3, 4}, zero[3] = {big, big, 0}, over[3] = {big, 1, 2};
    const mango_idx minus[3] = {0, 1, -1};
    T_CHECK(mgi_prod(3, some, &r) && r == 24);
    T_CHECK(mgi_prod(3, zero, &r) && r == 0);
    T_CHECK(mgi_prod(0, NULL, &r) && r == 1);
    T_CHECK(!mgi_prod(3, over, &r) && !mgi_prod(3, minus, &r));
}
void t_base(void)
{
    T_CASE(t_base_sizes);
}
