/* main.c - runs the public tests. With PUBLIC_SINGLE it holds the library, too.
 *     main FOLDER      FOLDER: for the files they write
 * SPDX-License-Identifier: MIT */
#ifdef PUBLIC_SINGLE
#define MANGO_IMPLEMENTATION
#endif
#include "public.h"

mango_err p_err;
static int p_passed, p_failed;
static const char *p_folder = ".";

int p_check(int ok, const char *what, const char *file, int line)
{
    p_passed += ok;
    p_failed += !ok;
    if (!ok)
        printf("  %s:%d: not so: %s\n", file, line, what);
    return ok;
}

int p_ok(mango_status st, const char *what, const char *file, int line)
{
    if (st != MANGO_OK)
        printf("  %s (%s)\n", mango_status_text(st), p_err.text);
    return p_check(st == MANGO_OK, what, file, line);
}

const char *p_file(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", p_folder, name);
    return path;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        p_folder = argv[1];
    P_CHECK(mango_version_number() == MANGO_VERSION_NUMBER);
    P_CHECK(mango_threads() >= 1);
    p_numbers();
    p_networks();
    p_searches();
    p_trainings();
    printf("public: %d passed, %d failed\n", p_passed, p_failed);
    return p_failed != 0 || p_passed == 0;
}
