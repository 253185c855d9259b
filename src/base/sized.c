/* sized.c - structs of the caller that may be shorter or longer than ours.
 * SPDX-License-Identifier: MIT */
#include "mgi.h"

#define SIZED_MOST 65536 /* bytes; a larger "size" was never filled */

MGI_FN void mgi_info_out(void *out, size_t size, const void *own, size_t own_size)
{
    memcpy(out, own, MGI_MIN(size, own_size));
}

MGI_FN mango_status mgi_options_out(void *out, size_t size, const void *own, size_t own_size)
{
    MGI_REQUIRE(out && size >= sizeof size && size <= SIZED_MOST);
    memset(out, 0, size);
    memcpy(out, own, MGI_MIN(size, own_size));
    memcpy(out, &size, sizeof size);
    return MANGO_OK;
}

/* Inlined, gcc takes the caller's struct for one of ours and warns of what lies behind. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
MGI_FN mango_status mgi_options_in(void *own, size_t own_size, const void *options,
                                   const char *who, mango_err *err)
{
    size_t size = 0;
    if (options)
        memcpy(&size, options, sizeof size);
    MGI_CHECK(err, size >= sizeof size && size <= SIZED_MOST,
              "%s: options that its defaults call has filled expected", who);
    const unsigned char *more = options;
    for (size_t i = own_size; i < size; i++)
        if (more[i] != 0)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "%s: an option that this version does not know is set", who);
    memcpy(own, options, MGI_MIN(size, own_size));
    memcpy(own, &own_size, sizeof own_size);
    return MANGO_OK;
}

#undef SIZED_MOST
