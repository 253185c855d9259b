/* selftest.h - a hash of a short fixed run, the same on every machine.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_SELFTEST_H
#define MANGO_SELFTEST_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MANGO_SELFTEST_HASH UINT64_C(0x2ee9914b16e8d4af) /* of a right one */

/* mango_selftest - draws random numbers, runs a small spiking network and lets PROTES
 * search a toy landscape; *hash is of every bit of the results. Any machine, number of
 * threads and kernel set gives MANGO_SELFTEST_HASH. */
MANGO_API mango_status mango_selftest(uint64_t *hash);

#ifdef __cplusplus
}
#endif
#endif
