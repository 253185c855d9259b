/* datadir.c - the installed weights; a file of its own, for the place is known
 * only to `make install PREFIX=...`.
 * SPDX-License-Identifier: MIT */
#include "cli.h"

#ifndef MANGO_DATADIR
#define MANGO_DATADIR "/usr/local/share/mango"
#endif

const char cli_datadir[] = MANGO_DATADIR "/weights";
