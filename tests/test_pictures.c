/* test_pictures.c - every kind of picture file gives the pixels that it holds, or is
 * refused with the reason; colour becomes grey by luminance. The files are made here; what
 * the command reads is compared with the same pixels as PPM.
 * SPDX-License-Identifier: MIT */
#include "tool.h"
#include <sys/stat.h>

enum { T_PIC = 32 }; /* the side that T_NET takes */

typedef struct t_pic_buf {
    unsigned char b[1 << 16];
    mango_idx n;
} t_pic_buf;

static void t_pic_put(t_pic_buf *s, const void *p, size_t n)
{
    if (n > 0 && s->n + (mango_idx)n <= (mango_idx)sizeof s->b) {
        memcpy(s->b + s->n, p, n);
        s->n += (mango_idx)n;
    }
}

static void t_pic_number(t_pic_buf *s, uint32_t v, int bytes, int big)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)(v >> 8 * (big ? bytes - 1 - i : i));
        t_pic_put(s, &c, 1);
    }
}

/* Channel c of a pixel; of few colours: one of `colours` levels of grey. */
static unsigned t_pic_value(mango_idx y, mango_idx x, int c, int colours)
{
    const unsigned v[3] = {(unsigned)(x * 8), (unsigned)(y * 8), (unsigned)(x * y)};
    if (colours == 0)
        return v[c] & 255u;
    return (unsigned)(x + 3 * y) % (unsigned)colours * 255u / (unsigned)(colours - 1);
}

static void t_pic_ppm(const char *name, int colours)
{
    static t_pic_buf s;
    s.n = 0;
    t_pic_put(&s, "P6\n32 32\n255\n", 13);
    for (mango_idx i = 0; i < T_PIC * T_PIC * 3; i++)
        t_pic_number(&s, t_pic_value(i / 3 / T_PIC, i / 3 % T_PIC, (int)(i % 3), colours), 1,
                     0);
    t_write(t_work(name), s.b, (size_t)s.n);
}

/* The command sees the same pixels in both files? */
static void t_pic_same(const char *name, const char *ppm)
{
    char command[256];
    snprintf(command, sizeof command,
             "run --net " T_NET " --fill 7,1 --input %s --T 1 --record conv0 --out a.out",
             name);
    t_tool_is(command, 0, "1 inputs");
    snprintf(command, sizeof command,
             "run --net " T_NET " --fill 7,1 --input %s --T 1 --record conv0 --out b.out",
             ppm);
    t_tool_is(command, 0, "1 inputs");
    t_same_file("a.out", "b.out");
}

static void t_pic_refused(const char *name, const char *why)
{
    char command[256];
    snprintf(command, sizeof command, "run --net " T_NET " --fill 7,1 --input %s --out y.out",
             name);
    t_tool_refuses(command, 3, why);
}

/* ---- BMP ---- */

/* from_top: rows in the other order; masks: R and B exchanged, 32 bits. */
static void t_pic_bmp(t_pic_buf *s, int bits, int from_top, int masks)
{
    const int colours = bits <= 8 ? 1 << bits : 0, extra = masks ? 12 : 4 * colours;
    s->n = 0;
    t_pic_put(s, "BM\0\0\0\0\0\0\0\0", 10);
    t_pic_number(s, (uint32_t)(54 + extra), 4, 0);
    t_pic_number(s, 40, 4, 0);
    t_pic_number(s, T_PIC, 4, 0);
    t_pic_number(s, from_top ? 0u - T_PIC : T_PIC, 4, 0);
    t_pic_number(s, 1, 2, 0);
    t_pic_number(s, (uint32_t)bits, 2, 0);
    t_pic_number(s, masks ? 3 : 0, 4, 0);
    t_pic_put(s, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    for (int c = 0; masks && c < 3; c++)
        t_pic_number(s, UINT32_C(255) << 8 * c, 4, 0);
    for (int k = 0; k < colours; k++)
        t_pic_number(s, UINT32_C(0x010101) * (uint32_t)(k * 255 / (colours - 1)), 4, 0);
    for (int row = 0; row < T_PIC; row++) {
        const int y = from_top ? row : T_PIC - 1 - row;
        unsigned byte = 0;
        for (int x = 0; x < T_PIC; x++) {
            for (int c = 2; bits >= 24 && c >= 0; c--)
                t_pic_number(s, t_pic_value(y, x, masks ? 2 - c : c, 0), 1, 0);
            if (bits == 32)
                t_pic_number(s, (uint32_t)(x * 7), 1, 0); /* of no meaning */
            if (bits > 8)
                continue;
            byte = byte << bits | (unsigned)(x + 3 * y) % (unsigned)colours;
            if ((x + 1) * bits % 8 == 0)
                t_pic_number(s, byte & 255u, 1, 0);
        }
    }
}

static void t_pictures_bmp(void)
{
    static const int kind[][3] = {{24, 0, 0}, {24, 1, 0}, {32, 0, 0}, {32, 0, 1},
                                  {8, 0, 0},  {8, 1, 0},  {4, 0, 0},  {1, 0, 0}};
    static t_pic_buf s;
    if (!t_tool())
        T_SKIP("no command");
    for (int i = 0; i < 8; i++) {
        t_pic_ppm("same.ppm", kind[i][0] <= 8 ? 1 << kind[i][0] : 0);
        t_pic_bmp(&s, kind[i][0], kind[i][1], kind[i][2]);
        t_write(t_work("x.bmp"), s.b, (size_t)s.n);
        t_pic_same("x.bmp", "same.ppm");
    }
    t_write(t_work("x.bmp"), s.b, (size_t)s.n - 1);
    t_pic_refused("x.bmp", "x.bmp: a BMP that is cut off");
    t_pic_bmp(&s, 8, 0, 0);
    s.b[46] = 5; /* five colours, pixels of 256 */
    t_write(t_work("x.bmp"), s.b, (size_t)s.n);
    t_pic_refused("x.bmp", "not in its palette");
    s.b[28] = 16;
    t_write(t_work("x.bmp"), s.b, (size_t)s.n);
    t_pic_refused("x.bmp", "bits");
}

/* ---- PNG of 16 bits ---- */

static void t_pic_chunk(t_pic_buf *s, const char *kind, const t_pic_buf *data)
{
    t_pic_number(s, (uint32_t)data->n, 4, 1);
    const mango_idx at = s->n;
    t_pic_put(s, kind, 4);
    t_pic_put(s, data->b, (size_t)data->n);
    t_pic_number(s, mgi_crc32(0, s->b + at, s->n - at), 4, 1);
}

/* The low bytes are noise that must not count. colour 1: RGB, 0: grey of 256 levels. */
static void t_pic_png16(t_pic_buf *s, int colour)
{
    static t_pic_buf raw, d;
    uint32_t a = 1, b = 0;
    raw.n = d.n = s->n = 0;
    for (int y = 0; y < T_PIC; y++) {
        t_pic_number(&raw, 0, 1, 1);
        for (int i = 0; i < T_PIC * (colour ? 3 : 1); i++) {
            const int x = colour ? i / 3 : i;
            t_pic_number(&raw, t_pic_value(y, x, i % 3, colour ? 0 : 256), 1, 1);
            t_pic_number(&raw, (uint32_t)(i * 37) & 255u, 1, 1);
        }
    }
    t_pic_put(s, "\x89PNG\r\n\x1a\n", 8);
    t_pic_number(&d, T_PIC, 4, 1);
    t_pic_number(&d, T_PIC, 4, 1);
    t_pic_put(&d, colour ? "\x10\2\0\0\0" : "\x10\0\0\0\0", 5);
    t_pic_chunk(s, "IHDR", &d);
    d.n = 0;
    t_pic_put(&d, "\x78\1\1", 3); /* one stored block */
    t_pic_number(&d, (uint32_t)raw.n, 2, 0);
    t_pic_number(&d, ~(uint32_t)raw.n & 0xffffu, 2, 0);
    t_pic_put(&d, raw.b, (size_t)raw.n);
    for (mango_idx i = 0; i < raw.n; i++) {
        a = (a + raw.b[i]) % 65521u;
        b = (b + a) % 65521u;
    }
    t_pic_number(&d, b << 16 | a, 4, 1);
    t_pic_chunk(s, "IDAT", &d);
    d.n = 0;
    t_pic_chunk(s, "IEND", &d);
}

/* Does this build have stb? */
static int t_pic_stb(void)
{
    if (!t_tool())
        return 0;
    t_write(t_work("none.x"), "none", 4);
    t_ran r = t_tool_run("run --net " T_NET " --fill 7,1 --input none.x --out y.out");
    const int stb = strstr(r.err, "PNG, JPEG") != NULL;
    t_ran_free(&r);
    return stb;
}

static void t_pictures_png(void)
{
    static t_pic_buf s;
    if (!t_pic_stb())
        T_SKIP("no command, or one without stb");
    for (int colour = 0; colour < 2; colour++) {
        t_pic_ppm("same.ppm", colour ? 0 : 256);
        t_pic_png16(&s, colour);
        t_write(t_work("x.png"), s.b, (size_t)s.n);
        t_pic_same("x.png", "same.ppm");
    }
    s.b[60]++;
    t_write(t_work("x.png"), s.b, (size_t)s.n);
    t_pic_refused("x.png", "CRC does not match");
    t_write(t_work("x.png"), s.b, (size_t)s.n - 1);
    t_pic_refused("x.png", "CRC does not match");
}

/* ---- JPEG: a grey progressive one that is all zeros, with so many scans ---- */

static void t_pic_segment(t_pic_buf *s, int marker, const void *p, size_t n)
{
    t_pic_number(s, 0xff00u | (uint32_t)marker, 2, 1);
    t_pic_number(s, (uint32_t)n + 2, 2, 1);
    t_pic_put(s, p, n);
}

static void t_pic_jpeg(t_pic_buf *s, int scans)
{
    unsigned char q[65];
    memset(q, 1, sizeof q);
    q[0] = 0;
    s->n = 0;
    t_pic_put(s, "\xff\xd8", 2);
    t_pic_segment(s, 0xdb, q, 65);
    t_pic_segment(s, 0xc2, "\x08\0\x20\0\x20\1\1\x11\0", 9);
    t_pic_segment(s, 0xc4, "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);    /* DC: 0 is '0' */
    t_pic_segment(s, 0xc4, "\x10\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe0", 18); /* AC: EOB run */
    t_pic_segment(s, 0xda, "\1\1\0\0\0\0", 6);
    t_pic_put(s, "\0\0", 2); /* 16 blocks */
    for (int i = 1; i < scans; i++) {
        t_pic_segment(s, 0xda, "\1\1\0\1\x3f\0", 6);
        t_pic_put(s, "\0\1", 2); /* no more coefficients in 2^14 blocks */
    }
    t_pic_put(s, "\xff\xd9", 2);
}

static void t_pictures_jpeg(void)
{
    static t_pic_buf s;
    if (!t_pic_stb())
        T_SKIP("no command, or one without stb");
    static const int taken[] = {2, 10, 64}, refused[] = {65, 3000};
    for (int i = 0; i < 3; i++) {
        t_pic_jpeg(&s, taken[i]);
        t_write(t_work("x.jpg"), s.b, (size_t)s.n);
        t_tool_is("run --net " T_NET " --fill 7,1 --input x.jpg --T 1 --out y.out", 0, NULL);
    }
    for (int i = 0; i < 2; i++) {
        t_pic_jpeg(&s, refused[i]);
        t_write(t_work("x.jpg"), s.b, (size_t)s.n);
        t_pic_refused("x.jpg", "more than 64 scans");
    }
    t_pic_jpeg(&s, 2);
    t_write(t_work("x.jpg"), s.b, (size_t)s.n - 2);
    t_pic_refused("x.jpg", "no end-of-image marker");
    s.b[72] = 0xc9;
    t_write(t_work("x.jpg"), s.b, (size_t)s.n);
    t_pic_refused("x.jpg", "arithmetic-coded");
}

/* What is refused is named. */
static void t_pictures_foreign(void)
{
    static const struct {
        const char *bytes, *says;
        size_t n;
    } other[] = {
        {"II*\0 0123456789", "a TIFF", 15},
        {"GIF89a0123456789", "a GIF", 16},
        {"RIFF0000WEBPVP8 ", "a WebP", 16},
        {"\x1f\x8b\x08 0123456789", "compressed with gzip", 14},
        {"\0\0\0\x18" "ftypheic00000", "a HEIF", 16},
        {"P3\n32 32\n255\n", "another kind than P5 and P6", 13},
        {"P6\n32 32\n65535\n", "another maximum than 255", 15},
        {"P6\n32 32\n255\nxyz", "cut off", 16},
        {"P6\n65535 65535\n255\n", "cut off", 19},
    };
    if (!t_tool())
        T_SKIP("no command");
    for (mango_idx i = 0; i < MGI_COUNT(other); i++) {
        t_write(t_work("other.png"), other[i].bytes, other[i].n);
        t_pic_refused("other.png", other[i].says);
    }
}

/* ---- grey ---- */

static void t_pictures_luminance(void)
{
    /* pixels, and what Pillow's convert("L") makes of them */
    static const unsigned char rgb[][3] = {{255, 0, 0},   {0, 255, 0},   {0, 0, 255},
                                           {1, 2, 3},     {200, 100, 50}, {255, 255, 254},
                                           {17, 230, 89}, {3, 0, 1}};
    static const unsigned char L[] = {76, 150, 29, 2, 124, 255, 150, 1};
    unsigned char grey[256 * 3];
    mango_image_grey(8, rgb[0], grey);
    T_MEM(grey, L, 8);
    for (int v = 0; v < 256; v++)
        memset(grey + 3 * v, v, 3);
    mango_image_grey(256, grey, grey);
    for (int v = 0; v < 256; v++)
        T_EQ(grey[v], v);
}

static const char t_pic_net[] = "mango-graph 1\nnet arch=one_channel\n"
                                "input input - shape=1x4x4\n"
                                "conv0 conv input out=3 kernel=3 stride=1 pad=1 bias=1\n";

static void t_pictures_one_channel(void)
{
    mango_net *net = NULL;
    mango_err err = {""};
    unsigned char ppm[11 + 48] = "P6\n4 4\n255\n", pgm[11 + 16] = "P5\n4 4\n255\n";
    if (!t_tool())
        T_SKIP("no command");
    T_OK_OR_RETURN(mango_net_parse(&net, t_pic_net, (mango_idx)strlen(t_pic_net), NULL, &err),
                   &err);
    T_OK(mango_net_fill(net, 3, 1), NULL);
    T_OK(mango_net_save(net, t_work("one.safetensors"), "F32", &err), &err);
    mango_net_destroy(net);
    for (int i = 0; i < 48; i++)
        ppm[11 + i] = (unsigned char)(i * 41);
    mango_image_grey(16, ppm + 11, pgm + 11);
    t_write(t_work("c.ppm"), ppm, sizeof ppm);
    t_write(t_work("g.pgm"), pgm, sizeof pgm);
    t_tool_is("run --net one --input c.ppm --record conv0 --out c.out", 0, NULL);
    t_tool_is("run --net one --input g.pgm --record conv0 --out g.out", 0, NULL);
    t_same_file("c.out", "g.out");
}

/* Decodes "pictures" of three bytes: 4x4 pixels of that colour. */
static int t_pic_colour(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                        mango_idx *H, unsigned char *rgb, mango_err *err)
{
    (void)ud, (void)err;
    if (n != 3)
        return -1;
    *W = *H = 4;
    for (int i = 0; rgb && i < 48; i++)
        rgb[i] = in[i % 3];
    return 0;
}

static void t_pictures_folder(void)
{
    mango_data *d = NULL;
    mango_data_options o;
    mango_data_info info;
    mango_err err = {""};
    unsigned char px[16];
    char path[512];
    const char *dir = t_tmp("greys");
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/a.png", dir);
    t_write(path, "\0\xff\0", 3);
    T_STATUS(mango_data_defaults(&o), MANGO_OK);
    o.codecs.picture = t_pic_colour;
    o.resize = o.crop = 4;
    o.channels = 1;
    T_OK_OR_RETURN(mango_data_open(&d, "folder", dir, NULL, &o, NULL, &err), &err);
    T_STATUS(mango_data_get(d, &info), MANGO_OK);
    T_EQ(info.C, 1);
    T_OK(mango_data_picture(d, 0, px, NULL, &err), &err);
    for (int i = 0; i < 16; i++)
        T_EQ(px[i], 150);
    mango_data_destroy(d);
    o.channels = 2;
    T_STATUS(mango_data_open(&d, "folder", dir, NULL, &o, NULL, &err), MANGO_E_ARG);
    o.size = 0; /* not filled by mango_data_defaults */
    T_STATUS(mango_data_open(&d, "folder", dir, NULL, &o, NULL, &err), MANGO_E_ARG);
    T_CHECK(d == NULL);
}

void t_pictures(void)
{
    T_CASE(t_pictures_bmp);
    T_CASE(t_pictures_png);
    T_CASE(t_pictures_jpeg);
    T_CASE(t_pictures_foreign);
    T_CASE(t_pictures_luminance);
    T_CASE(t_pictures_one_channel);
    T_CASE(t_pictures_folder);
}
