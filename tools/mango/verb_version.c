/* verb_version.c - `mango version`: build, kernels in use, and a hash of a
 * short fixed run that is the same on every machine.
 * SPDX-License-Identifier: MIT */
#include "cli.h"

static const cli_doc version_doc = {
    "version", "print the version; --selftest hashes a short run",
    "mango version [--selftest]",
    "The self-test draws random numbers, runs a small spiking network and lets PROTES "
    "search a\n"
    "toy landscape, and hashes every bit of the results. Any machine, thread count and "
    "kernel\n"
    "set must print the same hash; it fails (exit code 1) when the hash is not the known "
    "one.\n",
    "  mango version --selftest\n  MANGO_SIMD=ref mango version --selftest --threads 1\n"};

static int version_selftest(cli *c, mgi_str *s)
{
    uint64_t h;
    const mango_status st = mango_selftest(&h);
    if (st < 0)
        return cli_fail(c, st, NULL);
    cli_print(c, "selftest %016llx %s\n", (unsigned long long)h,
              h == MANGO_SELFTEST_HASH ? "as it should be" : "NOT the known hash");
    mgi_str_printf(s, ",\"selftest\":\"%016llx\",\"selftest_ok\":%s", (unsigned long long)h,
                   h == MANGO_SELFTEST_HASH ? "true" : "false");
    return h == MANGO_SELFTEST_HASH ? CLI_OK : CLI_FAILURE;
}

int verb_version(int argc, char **argv)
{
    cli c;
    mgi_str s;
    int selftest = 0;
    const cli_opt opt[] = {
        {"--selftest", CLI_FLAG, &selftest, 0, 0, NULL, "run it and print the hash", 0}};
    int rc = cli_parse(&c, &version_doc, opt, 1, 0, argc, argv);
    if (rc >= 0)
        return rc;
    const char *kernels = cli_kernels();
    mgi_str_init(&s, NULL);
    cli_print(&c, "mango %s\nkernels  %s\nthreads  %d\ncompiler %s\n", MANGO_VERSION,
              kernels, mango_threads(), __VERSION__);
    mgi_str_printf(&s,
                   "{\"version\":\"%s\",\"kernels\":\"%s\",\"threads\":%d,\"compiler\":",
                   MANGO_VERSION, kernels, mango_threads());
    mgi_json_quote(&s, __VERSION__, (mango_idx)strlen(__VERSION__));
    rc = selftest ? version_selftest(&c, &s) : CLI_OK;
    mgi_str_puts(&s, "}");
    cli_json(&c, &s);
    mgi_str_free(&s);
    return rc;
}
