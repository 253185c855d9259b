/* test_text.c - strings, numbers, names, files, JSON.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static void t_text_print(const char *want, double v, int single)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    if (single)
        mgi_str_f32(&s, (float)v);
    else
        mgi_str_float(&s, v);
    T_STR(s.p, want);
    mgi_str_free(&s);
}

static void t_text_numbers(void)
{
    static const char *const bad[] = {"", "-", "+", ".", "e5", "1e", "1e+", " 1", "1 ", "0x10",
                                      "nan", "inf", "1,5", "1e999", "1.5.2", "--1", "1_0"};
    int64_t i = 0;
    double v = 0;
    t_text_print("0.1", 0.1, 0);
    t_text_print("1", 1.0, 0);
    t_text_print("-0", -0.0, 0);
    t_text_print("1e+300", 1e300, 0);
    t_text_print("5e-324", 5e-324, 0);
    t_text_print("0.30000000000000004", 0.1 + 0.2, 0);
    t_text_print("0.10000000149011612", (double)0.1f, 0);
    t_text_print("0.1", (double)0.1f, 1);
    t_text_print("16777216", 16777216.0, 1);
    t_text_print("null", (double)NAN, 0);
    for (mango_idx k = 0; k < MGI_COUNT(bad); k++)
        T_CHECK(!mgi_parse_real(bad[k], &v));
    T_CHECK(mgi_parse_real("-.5e+1", &v) && v == -5.0);
    T_CHECK(mgi_parse_real("2.", &v) && v == 2.0);
    T_CHECK(mgi_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &i) && i == INT64_MIN);
    T_CHECK(mgi_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &i) && i == INT64_MAX);
    T_CHECK(!mgi_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &i));
    T_CHECK(!mgi_parse_int("-9223372036854775809", INT64_MIN, INT64_MAX, &i));
    T_CHECK(!mgi_parse_int("", 0, 9, &i) && !mgi_parse_int("-", -9, 9, &i));
    T_CHECK(!mgi_parse_int("10", 0, 9, &i) && !mgi_parse_int("1x", 0, 9, &i));
}

static void t_text_round_trip(void)
{
    mango_rng r;
    mgi_str s;
    double back = 0;
    mango_rng_init(&r, 13, 0, 0);
    mgi_str_init(&s, NULL);
    for (int i = 0; i < 20000; i++) {
        const uint64_t u = mango_rng_u64(&r);
        double v;
        memcpy(&v, &u, sizeof v);
        if (v - v != 0.0)
            continue;
        const float f = (float)(i % 2 ? (v > -1e30 && v < 1e30 ? v : 0.0) : (double)u * 1e-9);
        s.n = 0;
        mgi_str_float(&s, v);
        T_REQUIRE(mgi_parse_real(s.p, &back) && memcmp(&back, &v, sizeof v) == 0);
        s.n = 0;
        mgi_str_f32(&s, f);
        T_REQUIRE(mgi_parse_real(s.p, &back) && (float)back == f && s.n <= 15);
    }
    mgi_str_free(&s);
}

static void t_text_names(void)
{
    static const char *const names[] = {"spiking0", "spiking1", "conv0", "layer1.0.sn1", "fc"};
    char out[64], tiny[5];
    T_CHECK(mgi_glob("*", "") && mgi_glob("", "") && !mgi_glob("", "a") && !mgi_glob("a", ""));
    T_CHECK(mgi_glob("layer?.*.sn1", "layer1.0.sn1") && !mgi_glob("layer?.sn1", "layer1.0.sn1"));
    T_CHECK(mgi_glob("sp[0-2x]", "sp1") && mgi_glob("sp[!0]", "sp1") && !mgi_glob("sp[!1]", "sp1"));
    T_CHECK(mgi_glob("a*b*c", "aXbYbZc") && !mgi_glob("a*b*c", "aXbYbZ"));
    T_CHECK(mgi_glob("[", "[") && mgi_glob("a[b", "a[b") && mgi_glob("[]]", "]"));
    T_CHECK(!mgi_glob("*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    mgi_near("Spiking2", 5, names, out, sizeof out);
    T_CHECK(strncmp(out, "spiking0, spiking1, ", 20) == 0);
    mgi_near("conv", 5, names, tiny, sizeof tiny);
    T_STR(tiny, "conv");
    mgi_near("conv", 0, names, out, sizeof out);
    T_STR(out, "");
}

static mango_status t_text_str_oom(void *ud, const mango_alloc *al)
{
    mgi_str s;
    (void)ud;
    mgi_str_init(&s, al);
    for (int i = 0; i < 100; i++)
        mgi_str_printf(&s, "%d,", i);
    const mango_status st = s.bad ? MANGO_E_MEM : MANGO_OK;
    if (!s.bad)
        T_EQ(s.n, 10 * 2 + 90 * 3);
    mgi_str_free(&s);
    return st;
}

static void t_text_strings(void)
{
    T_CHECK(t_oom_sweep(t_text_str_oom, NULL) >= 2);
}

/* ---- files ---- */
static void t_text_words(void)
{
    static const char *const word[] = {"nearest", "bi", "", ">="};
    const char *words = "nearest|bi||>=";
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (int i = 0; i < 4; i++) {
        T_EQ(mgi_word(words, word[i]), i);
        mgi_str_word(&s, words, i);
        mgi_str_puts(&s, ",");
    }
    T_STR(s.p, "nearest,bi,,>=,");
    T_EQ(mgi_word(words, "near"), -1);
    T_EQ(mgi_word(words, "nearest|bi"), -1);
    T_EQ(mgi_word(NULL, "bi"), -1);
    mgi_str_free(&s);
}

static void t_text_utf8(void)
{
    static const struct {
        const char *z;
        int n;
    } c[] = {{"a", 1}, {"\x7f", 1}, {"\xc2\x80", 2}, {"\xe0\xa0\x80", 3}, {"\xed\x9f\xbf", 3},
             {"\xf0\x90\x80\x80", 4}, {"\xf4\x8f\xbf\xbf", 4}, {"\x80", 0}, {"\xc1\xbf", 0},
             {"\xc2", 0}, {"\xc2" "a", 0}, {"\xe0\x9f\xbf", 0}, {"\xed\xa0\x80", 0},
             {"\xe2\x82", 0}, {"\xf0\x8f\xbf\xbf", 0}, {"\xf4\x90\x80\x80", 0}, {"\xf5", 0}};
    for (mango_idx i = 0; i < MGI_COUNT(c); i++)
        T_EQ(mgi_utf8((const unsigned char *)c[i].z, 4), c[i].n);
    T_EQ(mgi_utf8((const unsigned char *)"\xe2\x82\xac", 2), 0);
}

static void t_text_files(void)
{
    const char *path = t_tmp("a.bin");
    const mango_alloc a = mgi_alloc_get(NULL);
    mango_err err = {""};
    unsigned char *p = NULL;
    mango_idx n = -1;
    T_STATUS(mgi_file_read(path, 10, NULL, &p, &n, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "a.bin") != NULL);
    T_OK(mgi_file_write(path, "12345", 5, &err), &err);
    T_OK_OR_RETURN(mgi_file_read(path, 5, NULL, &p, &n, &err), &err);
    T_EQ(n, 5);
    T_MEM(p, "12345", 6);
    mgi_del(&a, p, n + 1, 1);
    T_STATUS(mgi_file_read(path, 4, NULL, &p, &n, &err), MANGO_E_LIMIT);
    T_OK(mgi_file_write(path, "", 0, &err), &err);
    T_OK_OR_RETURN(mgi_file_read(path, 0, NULL, &p, &n, &err), &err);
    T_EQ(n, 0);
    mgi_del(&a, p, n + 1, 1);
    T_STATUS(mgi_file_write(t_tmp("none/b"), "x", 1, &err), MANGO_E_IO);
    T_STATUS(mgi_file_read(t_tmp(""), 9, NULL, &p, &n, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "folder") != NULL);
    if (t_exists("/dev/full")) /* no space: an error, and nothing renamed over it */
        T_STATUS(mgi_file_write("/dev/full", "x", 1, &err), MANGO_E_SYSTEM);
}

static mango_status t_text_read_oom(void *ud, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    unsigned char *p;
    mango_idx n;
    MGI_TRY(mgi_file_read(ud, 1000, al, &p, &n, NULL));
    mgi_del(&a, p, n + 1, 1);
    return MANGO_OK;
}

static void t_text_file_memory(void)
{
    char path[1024];
    mgi_copy(path, sizeof path, t_tmp("oom"));
    T_STATUS(mgi_file_write(path, "hello", 5, NULL), MANGO_OK);
    T_CHECK(t_oom_sweep(t_text_read_oom, path) >= 1);
}

/* ---- JSON ---- */
static mango_status t_text_json_try(const char *z, mango_err *err)
{
    mgi_json j;
    const mango_status st = mgi_json_parse(&j, z, (mango_idx)strlen(z), NULL, err);
    mgi_json_free(&j);
    return st;
}

static void t_text_json_good(void)
{
    static const char z[] = " {\"a\": [1, -2.5e1, true, null, {}], \"b\\u00e9\\ud83d\\ude00\" :\"x\\n\\u0000y\","
                            "\"big\":9223372036854775808, \"e\":1E2}\n";
    mgi_json j;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_json_parse(&j, z, sizeof z - 1, NULL, &err), &err);
    const mgi_json_value *a = mgi_json_get(&j, j.v, "a");
    T_REQUIRE(a && a->kind == MGI_JSON_ARRAY && a->n == 5);
    T_CHECK(mgi_json_at(&j, a, 0)->is_int && mgi_json_at(&j, a, 0)->i == 1);
    T_CHECK(!mgi_json_at(&j, a, 1)->is_int && mgi_json_at(&j, a, 1)->d == -25.0);
    T_CHECK(mgi_json_at(&j, a, 2)->kind == MGI_JSON_TRUE);
    T_CHECK(mgi_json_at(&j, a, 3)->kind == MGI_JSON_NULL);
    T_CHECK(mgi_json_at(&j, a, 4)->kind == MGI_JSON_OBJECT && mgi_json_at(&j, a, 5) == NULL);
    const mgi_json_value *b = mgi_json_get(&j, j.v, "b\xc3\xa9\xf0\x9f\x98\x80");
    T_REQUIRE(b && b->kind == MGI_JSON_STRING && b->n == 4);
    T_MEM(b->str, "x\n\0y", 5);
    const mgi_json_value *big = mgi_json_get(&j, j.v, "big");
    T_CHECK(big && !big->is_int && big->d == 0x1p63);
    T_CHECK(mgi_json_get(&j, j.v, "c") == NULL && mgi_json_get(&j, a, "a") == NULL);
    mgi_json_free(&j);
}

static void t_text_json_bad(void)
{
    static const char *const bad[] = {
        "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "{'a':1}", "01", "-", "+1", "1.", ".5", "1e", "0x1", "NaN", "Infinity", "1e999", "tru", "nul",
        "truex", "1 2", "[1]]", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"\t\"", "\"\x01\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
        "\"\xe0\x80\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"",
        "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"a\\u0000\":1}", "[1}", "{\"a\":1]",
        "\xef\xbb\xbf{}", "[1 2]", "{\"a\" 1}", "// c\n1", "\"\\u00g0\""};
    mango_err err;
    for (mango_idx k = 0; k < MGI_COUNT(bad); k++) {
        err.text[0] = '\0';
        const mango_status st = t_text_json_try(bad[k], &err);
        if (st != MANGO_E_FORMAT || !strstr(err.text, "byte"))
            printf("  json %s: %d %s\n", bad[k], (int)st, err.text);
        T_STATUS(st, MANGO_E_FORMAT);
    }
    T_STATUS(t_text_json_try("{\"b\":{\"a\":1},\"a\":1}", NULL), MANGO_OK);
    char deep[67] = "";
    for (int d = 32; d <= 33; d++) {
        memset(deep, '[', (size_t)d);
        memset(deep + d, ']', (size_t)d);
        deep[2 * d] = '\0';
        T_STATUS(t_text_json_try(deep, NULL), d == 32 ? MANGO_OK : MANGO_E_LIMIT);
    }
}

static mango_status t_text_json_oom(void *ud, const mango_alloc *al)
{
    const mgi_str *s = ud;
    mgi_json j;
    MGI_TRY(mgi_json_parse(&j, s->p, s->n, al, NULL));
    T_EQ(j.v[0].n, 200);
    T_EQ(mgi_json_get(&j, j.v, "key199")->i, 199);
    mgi_json_free(&j);
    return MANGO_OK;
}

static void t_text_json_memory(void)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (int i = 0; i < 200; i++)
        mgi_str_printf(&s, "%c\"key%d\":%d", i ? ',' : '{', i, i);
    mgi_str_puts(&s, "}");
    T_CHECK(t_oom_sweep(t_text_json_oom, &s) >= 5);
    mgi_str_free(&s);
}

/* Every prefix and every one-byte change of a document: no crash, no leak. */
static void t_text_json_mutants(void)
{
    static const char z[] = "{\"a\":[1,-2.5e1,true,null],\"b\\u00e9\":\"x\\n\",\"c\":{\"d\":\"\xc3\xa9\"}}";
    static const char bytes[] = "{}[]\",:\\u0e-. \x80\xff\t9";
    t_heap h = {0, 0, 0, 0, 0};
    const mango_alloc al = t_heap_value(&h);
    char m[sizeof z];
    mgi_json j;
    for (size_t i = 0; i < sizeof z; i++)
        for (size_t k = 0; k < sizeof bytes; k++) {
            memcpy(m, z, sizeof z);
            m[i] = bytes[k];
            const mango_idx n = (mango_idx)(k == 0 ? i : sizeof z - 1);
            if (mgi_json_parse(&j, m, n, &al, NULL) == MANGO_OK)
                mgi_json_free(&j);
            T_REQUIRE(h.live == 0);
        }
}

static void t_text_json_quote(void)
{
    static const char raw[] = "a\"\\\n\t\x01\x7f\xc3\xa9\xff/";
    mgi_str s;
    mgi_json j;
    mgi_str_init(&s, NULL);
    mgi_json_quote(&s, raw, sizeof raw - 1);
    T_STR(s.p, "\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa9\\ufffd/\"");
    T_STATUS(mgi_json_parse(&j, s.p, s.n, NULL, NULL), MANGO_OK);
    T_STR(j.v ? j.v[0].str : "", "a\"\\\n\t\x01\x7f\xc3\xa9\xef\xbf\xbd/");
    mgi_json_free(&j);
    mgi_str_free(&s);
}

/* What a log holds, read three bytes at a time. */
static void t_text_log_holds(mgi_applog *l, const char *want)
{
    char got[64];
    mango_idx n = 0, more = 1;
    while (more > 0) {
        T_OK_OR_RETURN(mgi_applog_read(l, 3, got + n, &more, NULL), NULL);
        n += more;
        T_REQUIRE(n < 60);
    }
    got[n] = '\0';
    T_STR(got, want);
}

/* A log grows, is read, cut, and has one owner. */
static void t_text_log(void)
{
    char path[1024];
    mgi_applog a = {NULL, 0, ""}, b = {NULL, 0, ""};
    mango_err err = {""};
    mgi_copy(path, sizeof path, t_tmp("log"));
    T_OK(mgi_applog_open(&a, path, 0, &err), &err);
    T_CHECK(a.f == NULL && !t_exists(path));
    T_OK_OR_RETURN(mgi_applog_open(&a, path, 1, &err), &err);
    T_OK(mgi_applog_append(&a, "one\n", 4, 1, &err), &err);
    T_OK(mgi_applog_append(&a, "two\n", 4, 0, &err), &err);
    T_STATUS(mgi_applog_open(&b, path, 0, &err), MANGO_E_STATE);
    T_CHECK(b.f == NULL && strstr(err.text, "another process") != NULL);
    mgi_applog_close(&a);
    T_STATUS(mgi_applog_open(&b, path, 1, &err), MANGO_E_STATE); /* not ours to begin */
    T_CHECK(b.f == NULL);
    T_OK_OR_RETURN(mgi_applog_open(&b, path, 0, &err), &err);
    T_REQUIRE(b.f != NULL);
    t_text_log_holds(&b, "one\ntwo\n");
    T_OK(mgi_applog_cut(&b, 5, &err), &err);
    T_OK(mgi_applog_append(&b, "hree\n", 5, 1, &err), &err);
    mgi_applog_close(&b);
    T_OK_OR_RETURN(mgi_applog_open(&b, path, 0, &err), &err);
    t_text_log_holds(&b, "one\nthree\n");
    mgi_applog_drop(&b, path); /* made by another open: it stays */
    T_CHECK(t_exists(path));
    T_STATUS(mgi_applog_open(&a, t_tmp(""), 0, &err), MANGO_E_IO);
    remove(path);
    T_OK_OR_RETURN(mgi_applog_open(&a, path, 1, &err), &err);
    mgi_applog_drop(&a, path);
    T_CHECK(!t_exists(path));
}

void t_text(void)
{
    T_CASE(t_text_numbers);
    T_CASE(t_text_round_trip);
    T_CASE(t_text_names);
    T_CASE(t_text_strings);
    T_CASE(t_text_words);
    T_CASE(t_text_utf8);
    T_CASE(t_text_files);
    T_CASE(t_text_file_memory);
    T_CASE(t_text_log);
    T_CASE(t_text_json_good);
    T_CASE(t_text_json_bad);
    T_CASE(t_text_json_memory);
    T_CASE(t_text_json_mutants);
    T_CASE(t_text_json_quote);
}
