/* data.h - what comes in from outside: data sets, arrays, files of PyTorch.
 * Every reader checks sizes and limits before it allocates, never runs
 * anything found in a file, and names file, place and expectation on error.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_DATA_H
#define MANGO_DATA_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_codecs - decoders that the library does not bring along; a NULL
 * function means that inputs which need it are refused with a message.
 *
 *   inflate  raw deflate data (RFC 1951) into out, at most n_out bytes. in[n_in] begins
 *            with the data, and 8 bytes or more behind it do not belong to it: decoders
 *            that look ahead need them, and all stop where the last block ends. *used:
 *            bytes of in up to there; a byte that the last block shares counts. zlib with
 *            -MAX_WBITS and miniz tell both as total_out and total_in. The result is
 *            checked by its CRC. Returns the bytes written; -1: damaged, or over n_out.
 *   picture  a picture file (PNG, JPEG, ...) that lies in memory. With rgb NULL
 *            it sets *W and *H from the file's head; else they are what it
 *            answered before, and it fills rgb (H,W,3), 8 bits a channel, grey
 *            repeated. Returns 0, or -1 with the reason in err ("a TIFF").
 * Both may be called from several threads at once. The struct stays as it is. */
typedef struct mango_codecs {
    mango_idx (*inflate)(void *ud, const unsigned char *in, mango_idx n_in, mango_idx *used,
                         unsigned char *out, mango_idx n_out);
    int (*picture)(void *ud, const unsigned char *in, mango_idx n_in, mango_idx *W,
                   mango_idx *H, unsigned char *rgb, mango_err *err);
    void *ud;
} mango_codecs;

/* ---- data sets ----------------------------------------------------------- */

typedef struct mango_data mango_data;

typedef struct mango_data_options {
    size_t size;        /* set by mango_data_defaults                                */
    mango_codecs codecs;
    mango_idx resize;   /* folder: shorter side is scaled to this; 0: not     (256)  */
    mango_idx crop;     /* folder: centre crop, height and width              (224)  */
    mango_idx max_side; /* folder: larger pictures are refused                (4096) */
    int partial;        /* cifar10: 1 accepts files of fewer than 10,000 pictures (0) */
    int allow_empty;    /* 1 accepts classes without a picture                (0)    */
    int channels;       /* folder: 3, or 1: pictures in grey (mango_image_grey)  (3) */
} mango_data_options;
/* mango_data_defaults - all members of *o. */
MANGO_API mango_status mango_data_defaults_sized(mango_data_options *o, size_t size);
#define mango_data_defaults(o) mango_data_defaults_sized((o), sizeof *(o))

/* mango_gunzip - unpack a gzip file, of one member or several (cat a.gz b.gz, bgzip), with
 * zeros behind them or not: together at most limit bytes, each of the size it states and
 * its CRC-32 right.
 *   what  in  names the source in messages;  codecs  in  whose inflate to use
 *   out   out  *n_out bytes and a NUL behind them, from al (NULL: free() them) */
MANGO_API mango_status mango_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                                    const char *what, const mango_codecs *codecs,
                                    const mango_alloc *al, unsigned char **out,
                                    mango_idx *n_out, mango_err *err);

/* mango_data_open - open one split of a data set and validate it: sizes and
 * counts, checksums of .gz files, labels in range, no empty class.
 *
 *   name   in  "cifar10" (official binary layout), "mnist", "fashion-mnist"
 *              (IDX, plain or .gz), "folder" (pictures: CLASS/xxx, or flat
 *              SYNSET_name.JPEG, each synset a class, or flat without labels)
 *   root   in  its folder, or the one above it as the archives and torchvision lay it out
 *              (MNIST/raw, FashionMNIST/raw, cifar-10-batches-bin); "folder" uses
 *              root/SPLIT when there is one
 *   split  in  "train" or "test" ("val" is looked for too); NULL: "test"
 *   o      in  NULL: the defaults, no codecs
 *
 * Array sets are held in memory, 8 bits a value; "folder" holds names and
 * decodes in mango_data_picture; a name there that is a pipe or device is refused.
 * Order: that of the files; folders sorted by name, bytewise.
 * Returns  MANGO_E_NAME, _IO, _FORMAT, _LIMIT, _SHAPE, _UNSUPPORTED, _MEM. */
MANGO_API mango_status mango_data_open(mango_data **data, const char *name,
                                       const char *root, const char *split,
                                       const mango_data_options *o, const mango_alloc *al,
                                       mango_err *err);

/* mango_data_make - a data set from arrays in memory, copied and validated.
 *   pixels  in  (count,C,H,W);  labels  in  (count), 0..classes-1, or NULL */
MANGO_API mango_status mango_data_make(mango_data **data, const char *name, mango_idx count,
                                       mango_idx C, mango_idx H, mango_idx W,
                                       mango_idx classes, const unsigned char *pixels,
                                       const int *labels, const mango_alloc *al,
                                       mango_err *err);

typedef struct mango_data_info {
    const char *name, *split; /* live as long as data             */
    mango_idx count;          /* pictures, >= 1                   */
    mango_idx classes;        /* 0: the pictures have no labels   */
    mango_idx C, H, W;        /* of each picture as it is handed out */
} mango_data_info;
/* mango_data_get - what the set holds, into *info. */
MANGO_API mango_status mango_data_get_sized(const mango_data *data, mango_data_info *info,
                                            size_t size);
#define mango_data_get(data, info) mango_data_get_sized((data), (info), sizeof *(info))

/* mango_data_picture - picture i.
 *   pixels  out  (C,H,W), 0..255, as stored; NULL: not wanted
 *   label   out  0..classes-1, or -1 without labels; NULL: not wanted
 * Threads  any number at once. */
MANGO_API mango_status mango_data_picture(const mango_data *data, mango_idx i,
                                          unsigned char *pixels, int *label, mango_err *err);
/* All pictures (count,C,H,W) and labels (count); NULL when not held in memory,
 * or when there are no labels. */
MANGO_API const unsigned char *mango_data_pixels(const mango_data *data);
MANGO_API const int *mango_data_labels(const mango_data *data);
/* Name of class k, of picture i ("test/17", a file's path); NULL out of range. */
MANGO_API const char *mango_data_class(const mango_data *data, mango_idx k);
MANGO_API const char *mango_data_path(const mango_data *data,
                                      mango_idx i); /* folder only */
MANGO_API void mango_data_destroy(mango_data *data);

/* ---- pictures ------------------------------------------------------------ */

/* mango_image_read - decode one picture file into (H,W,3); the caller frees
 * the 3*W*H bytes of *rgb through the same allocator (libc's: free).
 *   max_side  in  0: 4096 */
MANGO_API mango_status mango_image_read(const char *path, const mango_codecs *codecs,
                                        mango_idx max_side, unsigned char **rgb,
                                        mango_idx *W, mango_idx *H, const mango_alloc *al,
                                        mango_err *err);
/* mango_image_resize - antialiased bilinear filter: a triangle as wide as the
 * reduction, rows first, 8 bits between, coefficients of 22 bits (Pillow's
 * and so torchvision's filter).
 *   in   in   (H,W,C);  out  out  (oH,oW,C);  sides 1..65535, C 1..4 */
MANGO_API mango_status mango_image_resize(mango_idx H, mango_idx W, mango_idx C,
                                          const unsigned char *in, mango_idx oH,
                                          mango_idx oW, unsigned char *out,
                                          const mango_alloc *al, mango_err *err);
/* mango_image_fit - torchvision's Resize(resize), CenterCrop(crop), ToTensor's
 * order of axes.
 *   in      in   (H,W,C), C 1..4;  out  out  (C,crop,crop)
 *   resize  in   length of the shorter side; 0 leaves the size as it is
 * Returns MANGO_E_SHAPE when the crop is larger than the resized picture. */
MANGO_API mango_status mango_image_fit(mango_idx H, mango_idx W, mango_idx C,
                                       const unsigned char *in, mango_idx resize,
                                       mango_idx crop, unsigned char *out,
                                       const mango_alloc *al, mango_err *err);
/* mango_image_grey - luminance by ITU-R BT.601, to the bit what Pillow's convert("L")
 * and so torchvision's Grayscale give: L = (19595 R + 38470 G + 7471 B + 2^15)/2^16.
 * This is how a picture in colour becomes the input of a network of one channel; a grey
 * one becomes the input of a network in colour by repeating it.
 *   rgb  in  (n,3);  grey  out  (n), may be rgb itself */
MANGO_API void mango_image_grey(mango_idx n, const unsigned char *rgb, unsigned char *grey);

/* ---- .npy ---------------------------------------------------------------- */

typedef enum mango_npy_type {
    MANGO_NPY_F4,
    MANGO_NPY_F8,
    MANGO_NPY_I1,
    MANGO_NPY_U1,
    MANGO_NPY_I2,
    MANGO_NPY_I4,
    MANGO_NPY_I8,
    MANGO_NPY_BOOL,
    MANGO_NPY_F2,
    MANGO_NPY_U2,
    MANGO_NPY_U4,
    MANGO_NPY_U8,
    MANGO_NPY_TYPES
} mango_npy_type;
/* "float32", "uint8", ..., as NumPy calls it; NULL out of range. */
MANGO_API const char *mango_npy_type_name(mango_npy_type type);
/* Data in C order and in this machine's byte order, whatever the file had. The struct
 * stays as it is. */
typedef struct mango_npy {
    mango_npy_type type;
    int rank; /* 0..8 */
    mango_idx shape[8], count;
    void *data;
    mango_idx bytes;
    mango_alloc al;
} mango_npy;

/* mango_npy_read - versions 1 to 3, f2 f4 f8, i1 i2 i4 i8, u1 u2 u4 u8 and bool in either
 * byte order; Fortran order is transposed. Refused: other types (objects above all),
 * a header over 10,000 bytes, data shorter or longer than the shape says,
 * a file over 1 GiB. mango_npy_parse: the same from n bytes; `what` names them. */
MANGO_API mango_status mango_npy_read(mango_npy *a, const char *path, const mango_alloc *al,
                                      mango_err *err);
MANGO_API mango_status mango_npy_parse(mango_npy *a, const unsigned char *bytes,
                                       mango_idx n, const char *what, const mango_alloc *al,
                                       mango_err *err);
MANGO_API void mango_npy_free(mango_npy *a);
/* The values as floats or as indices; MANGO_E_FORMAT when one does not fit
 * exactly (floats: f8 is rounded, i4 and i8 must be exact). */
MANGO_API mango_status mango_npy_floats(const mango_npy *a, float *out, mango_err *err);
MANGO_API mango_status mango_npy_ints(const mango_npy *a, mango_idx *out, mango_err *err);
/* mango_npy_write - version 1, C order, atomically. data: this machine's order. */
MANGO_API mango_status mango_npy_write(const char *path, mango_npy_type type, int rank,
                                       const mango_idx *shape, const void *data,
                                       mango_err *err);

/* ---- files of PyTorch ------------------------------------------------------ */

/* mango_tensor - one of the tensors that a file holds. */
typedef struct mango_tensor {
    const char *name;  /* UTF-8 without control bytes; belongs to the file that was read */
    const char *dtype; /* PyTorch: float32 float64 float16 bfloat16 int64 int32 int16 int8
                          uint8 bool; safetensors: F32 F64 F16 BF16 I64 I32 I16 I8 U8 BOOL */
    int rank;          /* 0..8 */
    mango_idx shape[8], count;
} mango_tensor;

typedef struct mango_pytorch mango_pytorch;
typedef struct mango_pytorch_info {
    const char *format; /* "zip", "legacy"                                       */
    const char *under;  /* keys under which the state dict was found; "": at the top */
    const char *beside; /* keys beside it that are passed over, in one line         */
    int open;           /* 1: several dicts of tensors, and none is chosen          */
} mango_pytorch_info;

/* mango_pytorch_open - read a .pt, .pth or .pkl file of torch.save (zip and
 * legacy formats; a dict of arrays by pickle.dump) without running anything: a walker over
 * a fixed list of pickle opcodes knows dicts, tensors, parameters, storages and arrays as
 * symbols; objects of other classes are passed over unread; names that only an attack has a
 * use for (os.system) are refused.
 * Which dict: one under net, model, state_dict or model_state_dict, inside each other too,
 * as far as they lead to tensors; else the only one that holds tensors. When there are
 * several the file opens with no tensors, and one has to be selected. Those of optimizers
 * are no choice. Arrays of NumPy are taken for tensors in a dict that holds no tensor.
 * Sparse tensors and other special ones are refused by name; complex, quantized and 8-bit
 * ones are listed, and their values refused.
 * Limits: file 1 GiB, pickle 64 MiB, 4096 tensors, rank 8, dimension 2^24,
 * name 256 bytes. Zip: central directory and local headers must agree,
 * entries may not overlap, CRCs must match; compressed entries need inflate. */
MANGO_API mango_status mango_pytorch_open(mango_pytorch **c, const char *path,
                                          const mango_codecs *codecs, const mango_alloc *al,
                                          mango_err *err);
/* The same from memory; bytes are copied. `what` names them in messages. */
MANGO_API mango_status mango_pytorch_parse(mango_pytorch **c, const unsigned char *bytes,
                                           mango_idx n, const char *what,
                                           const mango_codecs *codecs, const mango_alloc *al,
                                           mango_err *err);
MANGO_API mango_status mango_pytorch_get_sized(const mango_pytorch *c,
                                               mango_pytorch_info *info, size_t size);
#define mango_pytorch_get(c, info) mango_pytorch_get_sized((c), (info), sizeof *(info))
/* The dicts that hold tensors: how many (-1 for NULL), and their keys, joined by dots; "":
 * the file's own; NULL out of range. */
MANGO_API mango_idx mango_pytorch_choices(const mango_pytorch *c);
MANGO_API const char *mango_pytorch_choice(const mango_pytorch *c, mango_idx i);
/* mango_pytorch_select - take the dict at `key`, or the only one below it. Names of tensors
 * that were handed out before are gone. MANGO_E_NAME lists what there is. */
MANGO_API mango_status mango_pytorch_select(mango_pytorch *c, const char *key,
                                            mango_err *err);
/* How many tensors, -1 for NULL; tensor i, MANGO_E_ARG when there is none. */
MANGO_API mango_idx mango_pytorch_tensors(const mango_pytorch *c);
MANGO_API mango_status mango_pytorch_tensor_sized(const mango_pytorch *c, mango_idx i,
                                                  mango_tensor *t, size_t size);
#define mango_pytorch_tensor(c, i, t) mango_pytorch_tensor_sized((c), (i), (t), sizeof *(t))
/* Values of tensor i, C order, strides honoured: (count) floats. Integers must
 * be exact in float, others finite: MANGO_E_NONFINITE names the tensor. */
MANGO_API mango_status mango_pytorch_floats(const mango_pytorch *c, mango_idx i, float *out,
                                            mango_err *err);
MANGO_API void mango_pytorch_destroy(mango_pytorch *c);

/* ---- ONNX ------------------------------------------------------------------- */

typedef struct mango_onnx mango_onnx;
typedef struct mango_onnx_info {
    int64_t ir, opset;       /* versions of the format and of its operators               */
    const char *producer;    /* "pytorch", "tf2onnx", ..                                  */
    const char *graph;       /* the graph's name                                          */
    const char *input;       /* name of the one input                                     */
    const char *output;      /* name of the first output                                  */
    int rank;                /* of the input, -1: the file does not say                   */
    mango_idx shape[8];      /* its sizes, -1 where they are open                         */
    mango_idx nodes, initializers;
    const char *text;        /* the network's text form; NULL before mango_onnx_translate */
} mango_onnx_info;

/* mango_onnx_open - read an .onnx file: of PyTorch (both exporters), of MATLAB's
 * exportONNXNetwork, of tf2onnx. Its protocol buffer is walked with bounds, nothing in it
 * is run. Tensors of 16, 32 and 64 bits, integers, typed or raw, in the file or in another
 * one of the same folder, whose name must be no more than a name.
 * Limits: file (with those beside it) 1 GiB, 4096 tensors, 16384 nodes, rank 8, dimension
 * 2^24, names of 256 bytes without control bytes; constants that are computed 256 MiB;
 * 1024 layers. Names that are there twice are refused.
 * Returns MANGO_E_FORMAT, _LIMIT, _UNSUPPORTED, _IO, _MEM. */
MANGO_API mango_status mango_onnx_open(mango_onnx **m, const char *path, const mango_alloc *al,
                                       mango_err *err);
/* The same from memory; bytes are copied. `what` names them in messages. Data in other files
 * are out of reach. */
MANGO_API mango_status mango_onnx_parse(mango_onnx **m, const unsigned char *bytes,
                                        mango_idx n, const char *what, const mango_alloc *al,
                                        mango_err *err);
/* mango_onnx_is - do these bytes begin as an ONNX model does? */
MANGO_API int mango_onnx_is(const unsigned char *bytes, mango_idx n);
MANGO_API mango_status mango_onnx_get_sized(const mango_onnx *m, mango_onnx_info *info,
                                            size_t size);
#define mango_onnx_get(m, info) mango_onnx_get_sized((m), (info), sizeof *(info))
/* The operator of node i; NULL out of range. */
MANGO_API const char *mango_onnx_op(const mango_onnx *m, mango_idx i);

/* mango_onnx_translate - the first output's network as text (mango_onnx_info.text, for
 * mango_net_parse) and as tensors under the names of its parameters. Opsets 7 to 26, what a
 * network computes in evaluation mode, for any batch: constants are folded, batch-norms
 * stay, and a softmax at the end, too. A value's axes are kept in mind and not moved:
 * Transpose, Reshape and channels last cost nothing unless an operator needs another order.
 * Maps are (C,H,W), sequences (N,C,L) are Cx1xL, an input or output (N,H,W,C) is CxHxW.
 * Layers are named after the modules or weights of the source. Once for each model.
 *   in  in  (C,H,W) of the input where the file leaves sizes open; NULL: the file's own
 * Returns  MANGO_E_UNSUPPORTED with the node's name and why, MANGO_E_SHAPE for sizes that
 *          are open or not those of the file, MANGO_E_FORMAT, _LIMIT, _MEM. */
MANGO_API mango_status mango_onnx_translate(mango_onnx *m, const mango_idx in[3],
                                            mango_err *err);
/* Tensors, none before mango_onnx_translate; as mango_pytorch_tensors, _tensor and _floats. */
MANGO_API mango_idx mango_onnx_tensors(const mango_onnx *m);
MANGO_API mango_status mango_onnx_tensor_sized(const mango_onnx *m, mango_idx i,
                                               mango_tensor *t, size_t size);
#define mango_onnx_tensor(m, i, t) mango_onnx_tensor_sized((m), (i), (t), sizeof *(t))
MANGO_API mango_status mango_onnx_floats(const mango_onnx *m, mango_idx i, float *out,
                                         mango_err *err);
MANGO_API void mango_onnx_destroy(mango_onnx *m); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
