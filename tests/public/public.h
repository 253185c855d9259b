/* public.h - tests that see nothing but mango.h, as a program of a user does. They run
 * on the single header, on the pair of `make split`, and on libmango.so.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_PUBLIC_H
#define MANGO_TEST_PUBLIC_H
#include "mango.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts a check; one that fails is printed. */
#define P_CHECK(cond) p_check((cond) != 0, #cond, __FILE__, __LINE__)
#define P_OK(call) p_ok((call), #call, __FILE__, __LINE__)
int p_check(int ok, const char *what, const char *file, int line);
int p_ok(mango_status st, const char *what, const char *file, int line);
extern mango_err p_err; /* printed by P_OK */
/* A file in the working folder of the tests. */
const char *p_file(const char *name);

void p_numbers(void); /* rng, lif, the sums behind networks, self-test */
void p_networks(void); /* net, plan, match */
void p_searches(void); /* opt, space, drawing, objective, session, search */
void p_trainings(void); /* data, npy, trainer */

#endif
