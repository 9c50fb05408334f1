/*
 * The parts of the detector that NumPy does slowly, and while it holds the interpreter's lock.
 *
 * Each function gives the same bits as the NumPy code in pyramid.py and nms.py: sums are whole numbers, and floats are
 * combined in the same order (compiled with -ffp-contract=off). ctypes releases the lock during a call.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORIZED
#endif

#define MOST_ROWS 257 /* of bytes, whose sum 16 bits hold */

VECTORIZED
static void set_row(uint16_t *restrict sums, const uint8_t *restrict row, long count)
{
    for (long i = 0; i < count; i++) sums[i] = row[i];
}

VECTORIZED
static void add_row(uint16_t *restrict sums, const uint8_t *restrict row, long count)
{
    for (long i = 0; i < count; i++) sums[i] += row[i];
}

typedef uint16_t short_pixel __attribute__((vector_size(8), aligned(2)));
typedef uint32_t pixel __attribute__((vector_size(16), aligned(4)));
typedef int32_t signed_pixel __attribute__((vector_size(16)));
typedef float float_pixel __attribute__((vector_size(16), aligned(4)));

/* Add the sums (3 numbers a column) of all columns before each one to 4 numbers, the last of them without meaning. */
static void add_prefixes(uint32_t *restrict prefixes, const uint16_t *restrict sums, long width)
{
    pixel before = {0, 0, 0, 0};
    for (long x = 0; x < width; x++) {
        *(pixel *)(prefixes + 4 * x) += before;
        before += __builtin_convertvector(*(const short_pixel *)(sums + 3 * x), pixel);
    }
    *(pixel *)(prefixes + 4 * width) += before;
}

static long first(long index, long length, long count) { return index * length / count; }
static long stop(long index, long length, long count) { return ((index + 1) * length + count - 1) / count; }
static long clip(long value, long low, long high) { return value < low ? low : value > high ? high : value; }

struct bin { int64_t before, after; float share; };

/* The bins of `count` outputs over the pixels `start` to `start + length`: what of them lies in `low` to `high`, from
 * `low` on. Whatever the numbers, no bin reaches beyond. */
static void divide(struct bin *bins, long start, long length, long count, long low, long high)
{
    for (long i = 0; i < count; i++) {
        const long from = first(i, length, count), to = stop(i, length, count);
        bins[i].before = clip(start + from, low, high) - low;
        bins[i].after = clip(start + to, low, high) - low;
        bins[i].share = 1.0f / (float)(to - from);
    }
}

/* Area-pool the window (left, top, right, bottom) of an RGB photo, black beyond it, to (height, width, 4) floats. */
static void pool(const uint8_t *photo, long photo_height, long photo_width, const int64_t *window, long height,
                 long width, float *out, struct bin *rows, struct bin *columns, uint16_t *sums, uint32_t *prefixes)
{
    const long left = clip(window[0], 0, photo_width), right = clip(window[2], left, photo_width);
    const long visible = right - left;
    divide(rows, window[1], window[3] - window[1], height, 0, photo_height);
    divide(columns, window[0], window[2] - window[0], width, left, right);
    for (long i = 0; i < height; i++) {
        memset(prefixes, 0, sizeof *prefixes * 4 * (size_t)(visible + 1));
        for (long y = rows[i].before; y < rows[i].after; y += MOST_ROWS) {
            const uint8_t *row = photo + 3 * (y * photo_width + left);
            const long count = rows[i].after - y < MOST_ROWS ? rows[i].after - y : MOST_ROWS;
            set_row(sums, row, 3 * visible);
            for (long n = 1; n < count; n++) add_row(sums, row += 3 * photo_width, 3 * visible);
            add_prefixes(prefixes, sums, visible);
        }
        for (long j = 0; j < width; j++, out += 4) {
            const pixel sum = *(const pixel *)(prefixes + 4 * columns[j].after)
                              - *(const pixel *)(prefixes + 4 * columns[j].before);
            const float factor = rows[i].share * columns[j].share;
            const float_pixel factors = {factor, factor, factor, 0};
            *(float_pixel *)out = __builtin_convertvector((signed_pixel)sum, float_pixel) * factors;
        }
    }
}

/* Pool each of the windows (count, 4) to (count, height, width, 4). Returns 0, or 1 if memory is short. */
int likeness_pool(const uint8_t *photo, int64_t photo_height, int64_t photo_width, const int64_t *windows,
                  int64_t count, int64_t height, int64_t width, float *out)
{
    uint16_t *sums = calloc((size_t)(3 * photo_width + 1), sizeof *sums);
    uint32_t *prefixes = malloc(sizeof *prefixes * 4 * (size_t)(photo_width + 1));
    struct bin *bins = malloc(sizeof *bins * (size_t)(height + width));
    const int failed = !sums || !prefixes || !bins;
    for (int64_t n = 0; n < count && !failed; n++)
        pool(photo, photo_height, photo_width, windows + 4 * n, height, width, out + n * height * width * 4, bins,
             bins + height, sums, prefixes);
    free(sums);
    free(prefixes);
    free(bins);
    return failed;
}

/*
 * Greedy non-maximum suppression of boxes (count, 4) in the given order: writes the kept indices, returns their number.
 * `extra` is 1 where boxes count inclusive pixels; `by_smaller` divides by the smaller box instead of the union.
 */
int64_t likeness_nms(const float *boxes, const int64_t *order, int64_t count, float overlap, float extra,
                     int by_smaller, int64_t *kept)
{
    int64_t number = 0;
    for (int64_t n = 0; n < count; n++) {
        const float *b = boxes + 4 * order[n];
        const float area = (b[2] - b[0] + extra) * (b[3] - b[1] + extra);
        int dropped = 0;
        for (int64_t k = 0; k < number && !dropped; k++) {
            const float *a = boxes + 4 * kept[k];
            const float right = a[2] < b[2] ? a[2] : b[2], left = a[0] > b[0] ? a[0] : b[0];
            const float bottom = a[3] < b[3] ? a[3] : b[3], top = a[1] > b[1] ? a[1] : b[1];
            const float w = right - left + extra, h = bottom - top + extra;
            const float shared = (w > 0 ? w : 0) * (h > 0 ? h : 0);
            const float other = (a[2] - a[0] + extra) * (a[3] - a[1] + extra);
            const float whole = by_smaller ? (other < area ? other : area) : other + area - shared;
            dropped = shared > overlap * whole;
        }
        if (!dropped) kept[number++] = order[n];
    }
    return number;
}
