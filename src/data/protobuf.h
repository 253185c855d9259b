/* protobuf.h - a bounded walk over protocol buffer messages, as ONNX has them.
 * A message is bytes; a field is a number, a kind and a value that points into them.
 * Nothing is copied and nothing nests: an inner message is walked when it is asked for.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PROTOBUF_H
#define MGI_PROTOBUF_H

#include "bytes.h"

typedef struct mgi_pb {
    const unsigned char *p; /* n bytes, read up to at */
    mango_idx n, at;
} mgi_pb;

enum { MGI_PB_VARINT = 0, MGI_PB_FIXED64 = 1, MGI_PB_BYTES = 2, MGI_PB_FIXED32 = 5 };

typedef struct mgi_pb_field {
    int number, wire;
    uint64_t v; /* VARINT, FIXED64, FIXED32 */
    mgi_pb in;  /* BYTES: the bytes, to be walked or read */
} mgi_pb_field;

/* mgi_pb_next - the next field: 1; 0 at the end; -1 malformed or cut short. */
MGI_FN int mgi_pb_next(mgi_pb *m, mgi_pb_field *f);
/* mgi_pb_varint - a number of 1 to 10 bytes; 0: malformed or cut short. */
MGI_FN int mgi_pb_varint(mgi_pb *m, uint64_t *v);
/* mgi_pb_number - of a repeated number's field, which may be packed: the next value as
 * its bits, of `wire` when packed; 1, 0 at the end, -1 malformed. *at starts at 0. */
MGI_FN int mgi_pb_number(const mgi_pb_field *f, int wire, mango_idx *at, uint64_t *v);
/* The float whose bits are the low 32 of v. */
MGI_FN float mgi_pb_float(uint64_t v);
MGI_FN double mgi_pb_double(uint64_t v);

#endif
