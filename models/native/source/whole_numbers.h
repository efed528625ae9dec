// Products of whole numbers: weights of 8 bits with inputs of 16, which processors multiply in pairs.
//
// The only intrinsics of the native step: compilers have no word for these instructions. Whatever the
// instructions, the sums are exact, so they are the same.
#pragma once

#include <cstdint>

#include "vector.h"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace {

typedef std::int16_t ShortVec __attribute__((vector_size(2 * LANES * sizeof(std::int16_t))));
typedef std::int8_t LooseByteVec __attribute__((vector_size(2 * LANES), aligned(1), may_alias));

// Two numbers of 8 bits for each lane, widened to 16. GCC widens long vectors in halves where it is not told how.
inline ShortVec load_bytes(const std::int8_t* from) {
#if defined(__AVX512BW__)
    return reinterpret_cast<ShortVec>(
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
    return reinterpret_cast<ShortVec>(
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
    return __builtin_convertvector(*reinterpret_cast<const LooseByteVec*>(from), ShortVec);
#endif
}

// `sums`, and in every lane the products of the two weights there with the two inputs there, which are 16 bits each.
inline IntVec add_products(IntVec sums, IntVec inputs, ShortVec weights) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    return reinterpret_cast<IntVec>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sums),
                                                        reinterpret_cast<__m512i>(inputs),
                                                        reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX512BW__)
    return sums + reinterpret_cast<IntVec>(_mm512_madd_epi16(reinterpret_cast<__m512i>(inputs),
                                                             reinterpret_cast<__m512i>(weights)));
#elif defined(__AVXVNNI__)
    return reinterpret_cast<IntVec>(_mm256_dpwssd_avx_epi32(reinterpret_cast<__m256i>(sums),
                                                            reinterpret_cast<__m256i>(inputs),
                                                            reinterpret_cast<__m256i>(weights)));
#elif defined(__AVX2__)
    return sums + reinterpret_cast<IntVec>(_mm256_madd_epi16(reinterpret_cast<__m256i>(inputs),
                                                             reinterpret_cast<__m256i>(weights)));
#elif defined(__SSE2__)
    return sums + reinterpret_cast<IntVec>(_mm_madd_epi16(reinterpret_cast<__m128i>(inputs),
                                                          reinterpret_cast<__m128i>(weights)));
#elif defined(__ARM_NEON) && defined(__aarch64__)
    const int16x8_t pairs = vreinterpretq_s16_s32(reinterpret_cast<int32x4_t>(inputs));
    const int16x8_t own = reinterpret_cast<int16x8_t>(weights);
    const int32x4_t low = vmull_s16(vget_low_s16(pairs), vget_low_s16(own));
    const int32x4_t high = vmull_high_s16(pairs, own);
    return sums + reinterpret_cast<IntVec>(vpaddq_s32(low, high));
#else
    const IntVec pairs = reinterpret_cast<IntVec>(weights);
    return sums + (pairs << 16 >> 16) * (inputs << 16 >> 16) + (pairs >> 16) * (inputs >> 16);
#endif
}

typedef std::int16_t LooseShortHalf __attribute__((vector_size(LANES * sizeof(std::int16_t)), aligned(2), may_alias));
typedef std::int16_t ShortHalf __attribute__((vector_size(LANES * sizeof(std::int16_t))));

// Round a row to whole multiples of what is returned, at most `most` of them, to nearest. out: (depth,), and a
// zero after an odd depth. A row of which a number is none has no multiples, and NaN is returned.
float round_row(const float* in, int depth, int most, std::int16_t* out) {
    Vec top{}, nothing{};
    for (int at = 0; at < depth; at += LANES) {
        const Vec here = at + LANES <= depth ? load(in + at) : load_part(in + at, depth - at, 0.0f);
        const Vec size = here < 0.0f ? -here : here;
        top = size > top ? size : top;
        nothing += here * 0.0f;  // 0, or NaN of what is not finite
    }
    const float largest_size = largest(top), none = sum(nothing);
    const bool rounded = none == 0.0f && largest_size > 1e-30f;
    const float scale = rounded ? largest_size / static_cast<float>(most) : none;
    const float inverse = rounded ? static_cast<float>(most) / largest_size : 0.0f;
    const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it leaves the whole number in the low bits
    for (int at = 0; at < depth; at += LANES) {
        const int count = depth - at < LANES ? depth - at : LANES;
        const Vec here = count == LANES ? load(in + at) : load_part(in + at, count, 0.0f);
        const Vec shifted = (rounded ? here : Vec{}) * inverse + magic;
        const ShortHalf whole = __builtin_convertvector(reinterpret_cast<IntVec>(shifted), ShortHalf);
        if (count == LANES) *reinterpret_cast<LooseShortHalf*>(out + at) = whole;
        else
            for (int lane = 0; lane < count; ++lane) out[at + lane] = whole[lane];
    }
    if (depth % 2) out[depth] = 0;
    return scale;
}

}  // namespace
