/* test_structs.c - the table of structs for other languages: it has every member.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* What a member of this size is aligned to: in a struct of ours the size itself, up to 8. */
static size_t t_structs_align(const char *name, mango_idx i, size_t size, mango_field_kind kind)
{
    const char *type = mango_struct_type(name, i);
    struct t_structs_d {
        char c;
        double d;
    };
    if (kind != MANGO_FIELD_STRUCT)
        return kind == MANGO_FIELD_CHARS ? 1
               : size == 8               ? offsetof(struct t_structs_d, d)
                                         : size;
    const char *first = NULL;
    mango_field_kind k = MANGO_FIELD_INT;
    size_t s = 0, most = 1;
    for (mango_idx j = 0; mango_struct_field(type, j, &first, NULL, &s, NULL, &k) == 0; j++)
        most = MGI_MAX(most, t_structs_align(type, j, s, k));
    return most;
}

/* Each member begins where the one before ends, rounded up, and the last ends the struct. */
static void t_structs_no_holes(void)
{
    mango_idx n = 0;
    for (const char *name; (name = mango_struct_name(n)) != NULL; n++) {
        size_t end = 0, offset = 0, size = 0, most = 1;
        const char *field = NULL;
        mango_idx count = 0;
        mango_field_kind kind = MANGO_FIELD_INT;
        for (mango_idx i = 0;
             mango_struct_field(name, i, &field, &offset, &size, &count, &kind) == 0; i++) {
            const size_t a = t_structs_align(name, i, size, kind);
            const size_t want = (end + a - 1) / a * a;
            if (!t_eq((long long)offset, (long long)want, field, name, (int)i))
                return;
            end = offset + size * (size_t)count;
            most = MGI_MAX(most, a);
        }
        T_CHECK(end > 0);
        t_eq((long long)mango_struct_size(name), (long long)((end + most - 1) / most * most),
             "size", name, 0);
    }
    T_CHECK(n >= 30);
}

/* A struct that is filled and read by the table alone. */
static void t_structs_by_name(void)
{
    mango_session_options o;
    unsigned char *at = (unsigned char *)&o;
    const char *field = NULL;
    size_t offset = 0, size = 0;
    int seen = 0;
    mango_idx seven = 7;
    T_STATUS(mango_session_defaults("protes", &o, NULL), MANGO_OK);
    for (mango_idx i = 0; mango_struct_field("mango_session_options", i, &field, &offset, &size,
                                             NULL, NULL) == 0; i++) {
        if (strcmp(field, "budget"))
            continue;
        T_EQ(size, sizeof seven);
        T_STR(mango_struct_type("mango_session_options", i), "mango_idx");
        memcpy(at + offset, &seven, sizeof seven);
        seen++;
    }
    T_EQ(seen, 1);
    T_EQ(o.budget, 7);
}

static void t_structs_wrong(void)
{
    const char *field = NULL;
    T_STATUS(mango_struct_field("mango_nothing", 0, &field, NULL, NULL, NULL, NULL),
             MANGO_E_NAME);
    T_STATUS(mango_struct_field("mango_err", 1, &field, NULL, NULL, NULL, NULL), MANGO_E_ARG);
    T_STATUS(mango_struct_field("mango_err", -1, &field, NULL, NULL, NULL, NULL), MANGO_E_ARG);
    T_STATUS(mango_struct_field("mango_err", 0, NULL, NULL, NULL, NULL, NULL), MANGO_E_ARG);
    T_STATUS(mango_struct_field(NULL, 0, &field, NULL, NULL, NULL, NULL), MANGO_E_NAME);
    T_CHECK(mango_struct_type("mango_err", 1) == NULL && mango_struct_type(NULL, 0) == NULL);
    T_EQ(mango_struct_size("mango_nothing"), 0);
    T_CHECK(mango_struct_name(-1) == NULL);
}

void t_structs(void)
{
    T_CASE(t_structs_no_holes);
    T_CASE(t_structs_by_name);
    T_CASE(t_structs_wrong);
}
