/* threads.h - how long the threads of a team spin when they wait.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_THREADS_H
#define MGI_THREADS_H

#include "mgi.h"

/* mgi_threads_look - called where long work begins: now and then it looks whether
 * other programs want the processors. While they do, threads of OpenMP teams that
 * wait go to sleep at once; else they spin for some milliseconds, as is their
 * runtime's default, and are there when the next loop begins. Nothing is done where
 * OMP_WAIT_POLICY, GOMP_SPINCOUNT or KMP_BLOCKTIME say what is wanted. Results do not
 * depend on it. */
MGI_FN void mgi_threads_look(void);

/* Between two looks: seconds of processor time, and how often the system took a
 * thread off its processor (nothing does on an idle machine). 1: others want the
 * processors, 0: they are ours, -1: as it was. For tests, too. */
MGI_FN int mgi_threads_busy(double seconds, double taken);

#endif
