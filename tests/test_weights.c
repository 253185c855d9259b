/* test_weights.c - safetensors and self-describing weights files: exact round
 * trips, and malformed files built byte by byte, each refused by name.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* A file from its header text and `bytes` of data 0,1,2,...; returns its size. */
static mango_idx t_weights_image(unsigned char *image, mango_idx cap, const char *header,
                                 mango_idx bytes)
{
    const mango_idx n = (mango_idx)strlen(header);
    T_CHECK(8 + n + bytes <= cap);
    for (int i = 0; i < 8; i++)
        image[i] = (unsigned char)((uint64_t)n >> (8 * i) & 255);
    memcpy(image + 8, header, (size_t)n);
    for (mango_idx i = 0; i < bytes; i++)
        image[8 + n + i] = (unsigned char)i;
    return 8 + n + bytes;
}

/* Parse a copy of image (which the reader may keep). */
static mango_status t_weights_parse(const unsigned char *image, mango_idx n, mgi_tensors *f,
                                    mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *copy = mgi_new(&al, n, 1);
    if (!copy)
        return MANGO_E_MEM;
    memcpy(copy, image, (size_t)n);
    const mango_status st = mgi_tensors_parse(f, copy, n, "file", NULL, err);
    if (st < 0)
        mgi_del(&al, copy, n, 1);
    return st;
}

#define T_WEIGHTS_T(name, dtype, shape, range)                                           \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" range "]}"

/* ---- reading ---------------------------------------------------------------- */

static void t_weights_values(void)
{
    static const char header[] =
        "{" T_WEIGHTS_T("u8", "U8", "2,2", "0,4") "," T_WEIGHTS_T("h", "F16", "2", "4,8")
        "," T_WEIGHTS_T("s", "I32", "", "8,12") "," T_WEIGHTS_T("none", "F32", "0,3", "12,12")
        "," T_WEIGHTS_T("b", "BF16", "1", "12,14") "," T_WEIGHTS_T("i", "I8", "2", "14,16")
        ",\"__metadata__\":{\"k\":\"v\\u00e9\"}}   ";
    unsigned char image[1024];
    mgi_tensors f;
    mango_err err = {""};
    float v[4];
    const mango_idx n = t_weights_image(image, 1024, header, 16);
    unsigned char *data = image + n - 16;
    data[4] = 0; /* 1.0 and -2.5 as halves */
    data[5] = 0x3c;
    data[6] = 0;
    data[7] = 0xc1;
    data[12] = 0x80; /* 1.0 as bfloat16 */
    data[13] = 0x3f;
    data[15] = 0xff;
    T_OK_OR_RETURN(t_weights_parse(image, n, &f, &err), &err);
    T_EQ(f.n, 6);
    T_STR(mgi_tensors_meta(&f, "k"), "v\xc3\xa9");
    T_CHECK(mgi_tensors_meta(&f, "x") == NULL && mgi_tensors_find(&f, "x") == NULL);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "u8"), 1, v, &err), &err);
    T_NEAR(v[3], 3, 0);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "h"), 1, v, &err), &err);
    T_NEAR(v[0], 1, 0);
    T_NEAR(v[1], -2.5, 0);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "b"), 1, v, &err), &err);
    T_NEAR(v[0], 1, 0);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "i"), 1, v, &err), &err);
    T_NEAR(v[1], -1, 0);
    T_EQ(mgi_tensors_find(&f, "none")->count, 0);
    T_EQ(mgi_tensors_find(&f, "s")->rank, 0);
    T_STATUS(mgi_tensor_floats(mgi_tensors_find(&f, "s"), 1, v, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "'s'") && strstr(err.text, "not exact"));
    mgi_tensors_free(&f);
    mgi_tensors_free(&f);
}

static void t_weights_malformed(void)
{
    static const struct {
        const char *header;
        mango_idx bytes;
        const char *part;
    } t[] = {
        {"", 4, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {"{", 0, "header:"},
        {"{}x", 0, "header:"},
        {"{} {}", 0, "header:"},
        {"{\"a\":1}", 0, "'a': expected exactly dtype, shape and data_offsets"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "'k' is not a string"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "header:"},
        {"{}", 1, "1 bytes follow the last tensor"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4") "}", 5, "follow the last tensor at offset"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4") "}", 3, "not a range inside the 3 bytes"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "4,8") "}", 8, "begins at byte 4 of the data, expected 0 "
                                                         "(a hole)"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4") "," T_WEIGHTS_T("b", "F32", "1", "0,4") "}", 4,
         "(an overlap)"},
        {"{" T_WEIGHTS_T("a", "F32", "2", "0,8") "," T_WEIGHTS_T("b", "F32", "1", "4,8") "}", 8,
         "(an overlap)"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4") "," T_WEIGHTS_T("a", "F32", "1", "4,8") "}", 8,
         "header:"},
        {"{" T_WEIGHTS_T("a", "F32", "2", "0,4") "}", 4, "span 4 bytes, its shape needs 2 of F32"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "4,0") "}", 4, "not a range"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "-4,0") "}", 4, "not a range"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4.0") "}", 4, "not a range"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,1e1") "}", 4, "not a range"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0") "}", 4, "not a list of two"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,4,8") "}", 4, "not a list of two"},
        {"{" T_WEIGHTS_T("a", "F32", "1", "0,18446744073709551620") "}", 4, "not a range"},
        {"{" T_WEIGHTS_T("a", "F32", "-1", "0,4") "}", 4, "size 0 of shape"},
        {"{" T_WEIGHTS_T("a", "F32", "1,16777217", "0,4") "}", 4, "size 1 of shape"},
        {"{" T_WEIGHTS_T("a", "F32", "1.5", "0,4") "}", 4, "size 0 of shape"},
        {"{" T_WEIGHTS_T("a", "F32", "\\\"1\\\"", "0,4") "}", 4, "header:"},
        {"{" T_WEIGHTS_T("a", "F32", "16777216,16777216,16777216", "0,4") "}", 4, "too large"},
        {"{" T_WEIGHTS_T("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4") "}", 4, "at most 8 sizes"},
        {"{" T_WEIGHTS_T("a", "F8_E4M3", "1", "0,1") "}", 1, "dtype 'F8_E4M3' is not one of"},
        {"{" T_WEIGHTS_T("a", "f32", "1", "0,4") "}", 4, "dtype 'f32'"},
        {"{" T_WEIGHTS_T("", "F32", "1", "0,4") "}", 4, "a tensor name of 0 bytes"},
        {"{" T_WEIGHTS_T("a\\n", "F32", "1", "0,4") "}", 4, "control byte at 1"},
        {"{" T_WEIGHTS_T("a\xff", "F32", "1", "0,4") "}", 4, "header:"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "exactly"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4, "not a list of two"},
        {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype '?'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape is not a list"},
    };
    unsigned char image[1024];
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        mgi_tensors f;
        mango_err err = {""};
        const mango_idx n = t_weights_image(image, 1024, t[i].header, t[i].bytes);
        const mango_status st = t_weights_parse(image, n, &f, &err);
        if (!T_CHECK(st < 0 && strstr(err.text, t[i].part) && !strncmp(err.text, "file: ", 6)))
            printf("  case %d gave %d '%s', expected '%s'\n", (int)i, (int)st, err.text, t[i].part);
        if (st == MANGO_OK)
            mgi_tensors_free(&f);
    }
}

static void t_weights_lengths(void)
{
    unsigned char image[64];
    mgi_tensors f;
    mango_err err = {""};
    mango_idx n = t_weights_image(image, 64, "{}", 0);
    T_STATUS(t_weights_parse(image, 7, &f, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "8 bytes of header length") != NULL);
    T_STATUS(t_weights_parse(image, 9, &f, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "truncated") != NULL);
    image[4] = 1; /* 4 GiB of header */
    T_STATUS(t_weights_parse(image, n, &f, &err), MANGO_E_LIMIT);
    memset(image, 255, 8);
    T_STATUS(t_weights_parse(image, n, &f, &err), MANGO_E_LIMIT);
    T_CHECK(strstr(err.text, "header length") != NULL);
}

/* One tensor too many; a name too long. */
static void t_weights_limits(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_str s;
    mgi_tensors f;
    mango_err err = {""};
    mgi_str_init(&s, &al);
    for (int i = 0; i <= MGI_WEIGHTS_TENSORS_MAX; i++)
        mgi_str_printf(&s, "%c\"%d\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                       i ? ',' : '{', i);
    mgi_str_puts(&s, "}");
    unsigned char *image = malloc((size_t)s.n + 8);
    T_REQUIRE(image && !s.bad);
    T_STATUS(t_weights_parse(image, t_weights_image(image, s.n + 8, s.p, 0), &f, &err),
             MANGO_E_LIMIT);
    T_CHECK(strstr(err.text, "4097 tensors") != NULL);
    mgi_str_free(&s);
    mgi_str_init(&s, &al);
    mgi_str_puts(&s, "{\"");
    for (int i = 0; i < 257; i++)
        mgi_str_puts(&s, "n");
    mgi_str_puts(&s, "\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    T_STATUS(t_weights_parse(image, t_weights_image(image, s.n + 8, s.p, 0), &f, &err),
             MANGO_E_LIMIT);
    T_CHECK(strstr(err.text, "257 bytes") != NULL);
    mgi_str_free(&s);
    free(image);
}

/* Any cut and any flipped byte of a good file: read or refused, never more. */
static void t_weights_mangled(void)
{
    static const char header[] = "{" T_WEIGHTS_T("a", "F32", "2", "0,8") ","
        T_WEIGHTS_T("b", "I64", "1", "8,16") ",\"__metadata__\":{\"k\":\"v\"}}";
    unsigned char image[512];
    const mango_idx n = t_weights_image(image, 512, header, 16);
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(t_weights_parse(image, n, &f, &err), &err);
    mgi_tensors_free(&f);
    for (mango_idx cut = 0; cut < n; cut++)
        T_CHECK(t_weights_parse(image, cut, &f, &err) < 0);
    for (mango_idx at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit++) {
            image[at] ^= (unsigned char)(1 << bit);
            if (t_weights_parse(image, n, &f, &err) == MANGO_OK) {
                float v[2];
                for (mango_idx i = 0; i < f.n; i++)
                    T_CHECK(f.t[i].count <= 2 || f.t[i].dtype == MGI_I8);
                mgi_tensor_floats(&f.t[0], 1, v, &err);
                mgi_tensors_free(&f);
            }
            image[at] ^= (unsigned char)(1 << bit);
        }
}

static void t_weights_golden(void)
{
    static const char *const names[] = {"lif.safetensors", "ops.safetensors",
                                        "net_snn_conv.safetensors", "net_vqvae.safetensors"};
    for (mango_idx i = 0; i < MGI_COUNT(names); i++) {
        mgi_tensors f;
        mango_err err = {""};
        T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden(names[i]), NULL, &err), &err);
        for (mango_idx k = 0; k < f.n; k++) {
            float *v = malloc((size_t)f.t[k].count * sizeof *v);
            T_CHECK(mgi_tensors_find(&f, f.t[k].name) == &f.t[k]);
            T_OK(mgi_tensor_floats(&f.t[k], 1, v, &err), &err);
            free(v);
        }
        mgi_tensors_free(&f);
    }
}

/* ---- writing ---------------------------------------------------------------- */

static void t_weights_round(void)
{
    static const float v[6] = {1, -2.5f, 3e-5f, 1.0f / 3, 65504, 0};
    static const unsigned char w[12] = {255, 255, 255, 255, 255, 255, 255, 127, 0, 0, 0, 128};
    static const unsigned char raw[3] = {1, 0, 1};
    static const mango_idx s23[2] = {2, 3}, s3[1] = {3};
    const char *path = t_tmp("w.safetensors");
    mgi_tensor_writer *w1 = NULL;
    mgi_tensors f;
    mango_err err = {""};
    float x[6];
    T_STATUS(mgi_writer_new(&w1, NULL), MANGO_OK);
    mgi_writer_add_raw(w1, "mask", MGI_BOOL, 1, s3, raw);
    mgi_writer_add(w1, "half", MGI_F16, 2, s23, v);
    mgi_writer_add(w1, "brain", MGI_BF16, 2, s23, v);
    mgi_writer_add(w1, "full \"x\"", MGI_F32, 2, s23, v);
    mgi_writer_add_raw(w1, "int", MGI_I32, 1, s3, w);
    mgi_writer_meta(w1, "a", "line\nquote\" \\ \xc3\xa9");
    mgi_writer_meta(w1, "b", "");
    T_OK(mgi_writer_save(w1, path, &err), &err);
    mgi_writer_free(w1);
    T_OK_OR_RETURN(mgi_tensors_read(&f, path, NULL, &err), &err);
    T_EQ(f.n, 5);
    T_STR(mgi_tensors_meta(&f, "a"), "line\nquote\" \\ \xc3\xa9");
    T_STR(mgi_tensors_meta(&f, "b"), "");
    for (mango_idx i = 0; i < f.n; i++)
        T_EQ((f.t[i].raw - f.image) % mgi_dtype_size(f.t[i].dtype), 0);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "full \"x\""), 1, x, &err), &err);
    T_MEM(x, v, sizeof v);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "half"), 1, x, &err), &err);
    T_CLOSE(x, v, 6, 1e-3);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "brain"), 1, x, &err), &err);
    T_CLOSE(x, v, 6, 4e-3);
    T_MEM(mgi_tensors_find(&f, "int")->raw, w, sizeof w);
    T_OK(mgi_tensor_floats(mgi_tensors_find(&f, "mask"), 1, x, &err), &err);
    T_NEAR(x[2], 1, 0);
    mgi_tensors_free(&f);
}

static void t_weights_writer_bad(void)
{
    static const float v[1] = {70000};
    static const mango_idx one[1] = {1};
    const char *path = t_tmp("never.safetensors");
    mgi_tensor_writer *w = NULL;
    mango_err err = {""};
    T_STATUS(mgi_writer_new(&w, NULL), MANGO_OK);
    T_STATUS(mgi_writer_add(w, "x", MGI_F16, 1, one, v), MANGO_E_NONFINITE);
    T_STATUS(mgi_writer_save(w, path, &err), MANGO_E_NONFINITE);
    T_CHECK(strstr(err.text, "'x'") && !t_exists(path));
    mgi_writer_free(w);
    T_STATUS(mgi_writer_new(&w, NULL), MANGO_OK);
    mgi_writer_add(w, "x", MGI_F32, 1, one, v);
    mgi_writer_add(w, "x", MGI_F32, 1, one, v);
    T_CHECK(mgi_writer_save(w, path, &err) < 0 && !t_exists(path));
    mgi_writer_free(w);
    T_STATUS(mgi_writer_new(&w, NULL), MANGO_OK);
    mgi_writer_add(w, "x", MGI_F32, 1, one, v);
    T_STATUS(mgi_writer_save(w, t_tmp("no/such/folder/x"), &err), MANGO_E_IO);
    mgi_writer_free(w);
    mgi_writer_free(NULL);
}

/* ---- networks --------------------------------------------------------------- */

static mango_net *t_weights_net(const char *spec)
{
    mango_net *n = NULL;
    mango_err err = {""};
    if (T_OK(mango_net_zoo(&n, spec, NULL, &err), &err))
        T_STATUS(mango_net_fill(n, 3, 1), MANGO_OK);
    return n;
}

static void t_weights_same(const mango_net *a, const mango_net *b, double tol)
{
    T_REQUIRE(a->n_params == b->n_params && a->n_nodes == b->n_nodes);
    T_MEM(b->node, a->node, (size_t)a->n_nodes * sizeof *a->node);
    for (int i = 0; i < a->n_params; i++)
        if (tol == 0 || a->param[i].rank == 1)
            T_MEM(b->param[i].v, a->param[i].v, (size_t)a->param[i].count * sizeof(float));
        else
            T_CLOSE(b->param[i].v, a->param[i].v, a->param[i].count, tol);
}

static void t_weights_save_load(void)
{
    static const char *const specs[] = {"snn_conv,width=0.1,beta=0.8", "sngan_dsc,width=0.1",
                                        "vqvae,hidden=16,codes=8,dim=4,in=1x28x28",
                                        "resnet18,width=0.1"};
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    static const int32_t codes[4] = {3, 1, 4, 1};
    static const mango_idx shape[2] = {2, 2};
    for (mango_idx k = 0; k < MGI_COUNT(specs) * 3; k++) {
        const char *path = t_tmp("net.safetensors");
        mango_net *a = t_weights_net(specs[k / 3]), *b = NULL;
        mango_err err = {""};
        T_REQUIRE(a != NULL);
        T_STATUS(mango_net_meta_set(a, "accuracy", "0.71"), MANGO_OK);
        T_STATUS(mgi_net_extra_set(a, "reference_codes", MGI_I32, 2, shape, codes), MANGO_OK);
        T_STATUS(mgi_net_extra_set(a, "reference_codes", MGI_I32, 2, shape, codes), MANGO_OK);
        T_OK(mango_net_save(a, path, dtypes[k % 3], &err), &err);
        T_OK_OR_RETURN(mango_net_load(&b, path, NULL, &err), &err);
        t_weights_same(a, b, k % 3 == 0 ? 0 : k % 3 == 1 ? 1e-3 : 1e-2);
        T_STR(mango_net_meta_get(b, "accuracy"), "0.71");
        T_EQ(b->n_extra, 1);
        const mgi_tensor *t = t_net_extra(b, "reference_codes");
        T_REQUIRE(t != NULL && t->rank == 2);
        T_MEM(t->raw, codes, sizeof codes);
        T_CHECK(t_net_extra(b, "others") == NULL);
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

/* Two saves of one network are the same bytes. */
static void t_weights_stable(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *x = NULL, *y = NULL;
    mango_idx nx = 0, ny = 0;
    mango_err err = {""};
    mango_net *a = t_weights_net("snn_conv,width=0.1"), *b = NULL;
    T_REQUIRE(a != NULL);
    T_OK(mango_net_save(a, t_tmp("1"), "F32", &err), &err);
    T_OK_OR_RETURN(mango_net_load(&b, t_tmp("1"), NULL, &err), &err);
    T_OK(mango_net_save(b, t_tmp("2"), "F32", &err), &err);
    T_OK(mgi_file_read(t_tmp("1"), 1 << 24, &al, &x, &nx, &err), &err);
    T_OK(mgi_file_read(t_tmp("2"), 1 << 24, &al, &y, &ny, &err), &err);
    T_EQ(nx, ny);
    T_MEM(x, y, nx);
    mgi_del(&al, x, nx + 1, 1);
    mgi_del(&al, y, ny + 1, 1);
    mango_net_destroy(a);
    mango_net_destroy(b);
}

/* A file whose tensors and graph disagree. flaw: 'm' missing, 'l' left over,
 * 's' shape, 'n' NaN, 'g' no graph, 'c' a graph that does not parse. */
static void t_weights_lying(char flaw, mango_status want, const char *part)
{
    static const mango_idx s14[4] = {1, 4, 1, 1}, s41[4] = {4, 1, 1, 1}, s1[1] = {1};
    static const float v[4] = {1, 2, 3, 4};
    const float bad[1] = {(float)NAN};
    const char *path = t_tmp("lie.safetensors");
    mgi_tensor_writer *w = NULL;
    mango_net *n = NULL;
    mango_err err = {""};
    T_STATUS(mgi_writer_new(&w, NULL), MANGO_OK);
    if (flaw != 'g')
        mgi_writer_meta(w, "mango.graph", flaw == 'c'
                            ? "mango-graph 1\nnet\nx input - shape=4\ny relu z\nz relu y\n"
                            : "mango-graph 1\nnet\nx input - shape=4\ny conv x out=1 kernel=1\n");
    if (flaw != 'm')
        mgi_writer_add(w, "y.weight", MGI_F32, 4, flaw == 's' ? s41 : s14, v);
    mgi_writer_add(w, "y.bias", MGI_F32, 1, s1, flaw == 'n' ? bad : v);
    if (flaw == 'l')
        mgi_writer_add(w, "y.more", MGI_F32, 1, s1, v);
    T_OK(mgi_writer_save(w, path, &err), &err);
    mgi_writer_free(w);
    T_STATUS(mango_net_load(&n, path, NULL, &err), want);
    T_CHECK(n == NULL);
    if (!T_CHECK(want == MANGO_OK || (strstr(err.text, part) && strstr(err.text, "lie."))))
        printf("  '%s', expected '%s'\n", err.text, part);
    mango_net_destroy(n);
}

static void t_weights_liars(void)
{
    t_weights_lying('m', MANGO_E_SHAPE, "1 missing (y.weight)");
    t_weights_lying('l', MANGO_E_SHAPE, "1 left over (y.more)");
    t_weights_lying('s', MANGO_E_SHAPE, "y.weight is 4x1x1x1, expected 1x4x1x1");
    t_weights_lying('n', MANGO_E_NONFINITE, "'y.bias': NaN or infinite at index 0");
    t_weights_lying('g', MANGO_E_FORMAT, "no graph in its metadata");
    t_weights_lying('c', MANGO_E_FORMAT, "node y: input 'z' is not defined before it");
}

static void t_weights_refusals(void)
{
    mango_net *n = t_weights_net("snn_conv,width=0.1"), *m = NULL;
    const char *path = t_tmp("nan.safetensors");
    mango_err err = {""};
    T_REQUIRE(n != NULL);
    T_STATUS(mango_net_save(n, path, "I8", &err), MANGO_E_ARG);
    n->param[1].v[0] = (float)NAN;
    T_STATUS(mango_net_save(n, path, "F32", &err), MANGO_E_NONFINITE);
    T_CHECK(strstr(err.text, "features.conv0.bias") && !t_exists(path));
    mango_net_destroy(n);
    T_OK(mango_net_zoo(&n, "snn_conv,width=0.1", NULL, &err), &err);
    T_STATUS(mango_net_save(n, path, "F32", &err), MANGO_E_STATE);
    mango_net_destroy(n);
    T_STATUS(mango_net_load(&m, t_tmp("not there"), NULL, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "not there") != NULL && m == NULL);
}

/* What the importer stands on. */
static void t_weights_match(void)
{
    static const mango_idx s[4] = {24, 3, 5, 5}, bad[1] = {23};
    const mgi_offer offer[] = {{"features.conv0.weight", 4, s},
                               {"features.conv0.bias", 1, bad},
                               {"features.spiking0.threshold", 0, NULL},
                               {"bn.num_batches_tracked", 0, NULL},
                               {"optimizer.state", 0, NULL}};
    mango_idx map[8];
    mango_err err = {""};
    mango_status st = MANGO_OK;
    mango_net *n = t_weights_net("snn_conv,width=0.12");
    T_REQUIRE(n != NULL && n->n_params == 8);
    T_STATUS(mgi_params_match(n, MGI_COUNT(offer), offer, map, &err), MANGO_E_SHAPE);
    T_CHECK(strstr(err.text, "6 missing (features.conv1.weight, features.conv1.bias,") != NULL);
    T_CHECK(strstr(err.text, "1 of wrong shape (features.conv0.bias is 23, expected 24)") != NULL);
    T_CHECK(strstr(err.text, "1 left over (optimizer.state)") != NULL);
    T_EQ(map[0], 0);
    T_EQ(map[2], -1);
    T_CHECK(mgi_rule_scalar(n, "features.spiking0.beta", 0.5, &st, &err) && st == MANGO_OK);
    T_NEAR(n->node[mgi_net_find(n, "spiking0")].lif.beta, 0.5, 0);
    T_CHECK(mgi_rule_scalar(n, "features.spiking0.threshold", -1, &st, &err));
    T_EQ(st, MANGO_E_FORMAT);
    T_CHECK(mgi_rule_scalar(n, "features.spiking0.graded_spikes_factor", 2, &st, &err));
    T_EQ(st, MANGO_E_UNSUPPORTED);
    T_CHECK(!mgi_rule_scalar(n, "features.conv0.beta", 1, &st, &err));
    T_CHECK(!mgi_param_foreign(n, "spiking0.beta"));
    mango_net_destroy(n);
}

static mango_status t_weights_cycle(void *ud, const mango_alloc *al)
{
    static const int32_t codes[1] = {7};
    static const mango_idx one[1] = {1};
    mango_net *a = NULL, *b = NULL;
    mango_err err = {""};
    mango_status st = mango_net_zoo(&a, "snn_conv,width=0.1", al, &err);
    if (st == MANGO_OK)
        st = mango_net_fill(a, 1, 1);
    if (st == MANGO_OK)
        st = mango_net_meta_set(a, "k", "v");
    if (st == MANGO_OK)
        st = mgi_net_extra_set(a, "codes", MGI_I32, 1, one, codes);
    if (st == MANGO_OK)
        st = mango_net_save(a, ud, "F16", &err);
    if (st == MANGO_OK)
        st = mango_net_load(&b, ud, al, &err);
    T_CHECK(st == MANGO_OK || b == NULL);
    mango_net_destroy(a);
    mango_net_destroy(b);
    return st;
}

static void t_weights_oom(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", t_tmp("oom.safetensors"));
    T_CHECK(t_oom_sweep(t_weights_cycle, path) > 20);
}

void t_weights(void)
{
    T_CASE(t_weights_values);
    T_CASE(t_weights_malformed);
    T_CASE(t_weights_lengths);
    T_CASE(t_weights_limits);
    T_CASE(t_weights_mangled);
    T_CASE(t_weights_golden);
    T_CASE(t_weights_round);
    T_CASE(t_weights_writer_bad);
    T_CASE(t_weights_save_load);
    T_CASE(t_weights_stable);
    T_CASE(t_weights_liars);
    T_CASE(t_weights_refusals);
    T_CASE(t_weights_match);
    T_CASE(t_weights_oom);
}

#undef T_WEIGHTS_T
