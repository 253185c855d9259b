/* import.c - the settings of `mango import`: normalization, range, keys of architectures.
 * SPDX-License-Identifier: MIT */
#include "import.h"

/* Three numbers, or one for all three. */
static int import_three(const char *v, float out[3])
{
    char part[64];
    double d = 0;
    for (int i = 0; i < 3; i++) {
        const size_t n = strcspn(v, ",");
        if (n >= sizeof part)
            return 0;
        memcpy(part, v, n);
        part[n] = 0;
        if (!mgi_parse_real(part, &d))
            return 0;
        out[i] = (float)d;
        if (!v[n] && i == 0) {
            out[1] = out[2] = out[0];
            return 1;
        }
        if ((v[n] == ',') != (i < 2))
            return 0;
        v += n + (v[n] == ',');
    }
    return 1;
}

/* One pair; -1 when its value cannot be read. */
static int import_pair(const char *key, const char *v, mango_net *net, mgi_str *spec)
{
    double d;
    mango_net_info now = {0};
    const int mean = !strcmp(key, "mean"), scale = !strcmp(key, "out_scale");
    if (net)
        mango_net_get(net, &now);
    if (mean || !strcmp(key, "std")) {
        if (net && (!import_three(v, mean ? now.mean : now.std) ||
                    mango_net_set_normalization(net, now.mean, now.std) < 0))
            return -1;
        return 0;
    }
    if (scale || !strcmp(key, "out_shift")) {
        if (!mgi_parse_real(v, &d))
            return -1;
        *(scale ? &now.out_scale : &now.out_shift) = (float)d;
        return net && mango_net_set_range(net, now.out_scale, now.out_shift) < 0 ? -1 : 0;
    }
    if (spec)
        mgi_str_printf(spec, ",%s=%s", key, v);
    return 0;
}

mango_status import_settings(const char *text, mango_net *net, mgi_str *spec,
                             mango_err *err)
{
    char key[64], v[256];
    while (*text) { /* a value reaches up to the next comma that a KEY= follows */
        const char *eq = strchr(text, '='), *end = eq;
        while (end && *end) {
            const char *comma = strchr(end, ',');
            end = comma ? comma + 1 : end + strlen(end);
            if (strcspn(end, "=") < strcspn(end, ","))
                break;
        }
        const size_t n = eq ? (size_t)(eq - text) : 0;
        const size_t m =
            eq ? (size_t)(end - eq - 1) - (size_t)(end > eq + 1 && end[-1] == ',') : 0;
        if (!eq || n < 1 || n >= sizeof key || m < 1 || m >= sizeof v)
            return mgi_fail(err, MANGO_E_ARG, "--set %s: KEY=VALUE expected", text);
        memcpy(key, text, n);
        memcpy(v, eq + 1, m);
        key[n] = v[m] = 0;
        if (import_pair(key, v, net, spec) < 0)
            return mgi_fail(err, MANGO_E_ARG, "--set %s=%s: numbers expected (std above 0)",
                            key, v);
        text = end;
    }
    return spec && spec->bad ? MANGO_E_MEM : MANGO_OK;
}
