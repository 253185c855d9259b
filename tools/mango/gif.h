/* gif.h - animated GIF (GIF89a) from pictures of one size.
 *
 * Every frame carries its own palette: its exact colours when there are at most
 * 256, else 256 chosen by median cut. So small pictures lose next to nothing
 * and need no dithering, which would flicker from frame to frame.
 * SPDX-License-Identifier: MIT */
#ifndef GIF_H
#define GIF_H

#include "../../src/base/text.h"

/* gif_begin, then gif_frame for each picture, then gif_end; the bytes gather in
 * `s`, whose `bad` tells of a failed allocation, as ever with mgi_str. */
typedef struct gif {
    mgi_str *s;
    mango_idx W, H, scale;
} gif;

/*   W, H   in  size of the pictures, scale * side at most 65535
 *   scale  in  every pixel is shown scale x scale
 * The animation repeats for ever. */
void gif_begin(gif *g, mgi_str *s, mango_idx W, mango_idx H, mango_idx scale);
/*   rgb    in  (H,W,3)
 *   delay  in  how long the frame stays, in hundredths of a second, 2..65535 */
void gif_frame(gif *g, const unsigned char *rgb, int delay);
void gif_end(gif *g);

#endif
