// Vectors of floats by the compiler's own vector types, as wide as the instructions that this file is compiled
// for. No intrinsics, so the same source serves SSE2, AVX2, AVX-512 and NEON.
//
// Only kernels.cpp includes it, once for each set of instructions; everything is in an unnamed namespace,
// because two translation units must never share a function that was compiled for different processors.
#pragma once

#include <cstdint>

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif

typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef std::int32_t IntVec __attribute__((vector_size(LANES * sizeof(std::int32_t))));
typedef float LooseVec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

typedef std::int32_t LooseIntVec __attribute__((vector_size(LANES * sizeof(std::int32_t)), aligned(4), may_alias));

inline IntVec load_bits(const void* from) { return *static_cast<const LooseIntVec*>(from); }
inline Vec as_floats(IntVec bits) { return reinterpret_cast<Vec>(bits); }
inline Vec load(const float* from) { return *reinterpret_cast<const LooseVec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<LooseVec*>(to) = value; }
inline Vec splat(float value) { return value - Vec{}; }

// The first `count` lanes from memory, the others `rest`.
inline Vec load_part(const float* from, int count, float rest) {
    Vec value = splat(rest);
    for (int lane = 0; lane < count; ++lane) value[lane] = from[lane];
    return value;
}

inline void store_part(float* to, Vec value, int count) {
    for (int lane = 0; lane < count; ++lane) to[lane] = value[lane];
}

inline float sum(Vec value) {
    float total = value[0];
    for (int lane = 1; lane < LANES; ++lane) total += value[lane];
    return total;
}

inline float largest(Vec value) {
    float most = value[0];
    for (int lane = 1; lane < LANES; ++lane) most = value[lane] > most ? value[lane] : most;
    return most;
}

// e^x within 2 units in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, and a polynomial for e^r (Cephes'
// expf). 0 below -87.3, where float32 has no normal numbers left; NaN stays NaN.
inline Vec exponential(Vec x) {
    const Vec given = x;
    x = x > 88.0f ? splat(88.0f) : x;
    x = x < -87.3f ? splat(-87.3f) : x;
    const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vec n = (x * 1.44269504f + magic) - magic;
    const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    Vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Vec whole = n == n ? n : Vec{};  // NaN has no whole number
    const IntVec power = (__builtin_convertvector(whole, IntVec) + 127) << 23;
    return given < -87.3f ? Vec{} : p * as_floats(power);
}

}  // namespace
