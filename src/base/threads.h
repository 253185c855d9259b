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

/* Do others want the processors? Between two looks: seconds on the clock and of processor
 * time, and how often the system took a thread of ours, who spin when they wait, off
 * its processor. For tests, too. */
MGI_FN int mgi_threads_busy(int threads, double wall, double cpu, double taken);

#endif
