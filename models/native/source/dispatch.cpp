// Which of the compiled kernels this processor can run. DEMUR_INSTRUCTIONS, if it names a set, forbids those above
// it: for tests of what other processors run.
#include <cstdlib>
#include <string_view>

#include "kernels.h"

namespace demur {

extern const Kernels kernels_for_baseline;
#if defined(__x86_64__)
extern const Kernels kernels_for_avx2;
extern const Kernels kernels_for_avx512;
// Older compilers do not know these.
#if defined(DEMUR_HAS_AVXVNNI)
extern const Kernels kernels_for_avxvnni;
#endif
#if defined(DEMUR_HAS_AVX512VNNI)
extern const Kernels kernels_for_avx512vnni;
#endif
#endif

namespace {

#if defined(__x86_64__)

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

// The sets from the worst to the best that the compiler knew, and whether the processor has them.
struct Candidate {
    const Kernels& kernels;
    bool there;
};

const Kernels& best() {
    __builtin_cpu_init();
    const Candidate candidates[] = {
        {kernels_for_baseline, true},
        {kernels_for_avx2, has_avx2()},
#if defined(DEMUR_HAS_AVXVNNI)
        {kernels_for_avxvnni, has_avx2() && __builtin_cpu_supports("avxvnni")},
#endif
        {kernels_for_avx512, has_avx512()},
#if defined(DEMUR_HAS_AVX512VNNI)
        {kernels_for_avx512vnni, has_avx512() && __builtin_cpu_supports("avx512vnni")},
#endif
    };
    const char* given = std::getenv("DEMUR_INSTRUCTIONS");
    const Kernels* chosen = &kernels_for_baseline;
    for (const Candidate& candidate : candidates) {
        if (candidate.there) chosen = &candidate.kernels;
        if (given != nullptr && std::string_view(given) == candidate.kernels.name) break;
    }
    return *chosen;
}

#else

const Kernels& best() { return kernels_for_baseline; }

#endif

}  // namespace

const Kernels& kernels() {
    static const Kernels& chosen = best();
    return chosen;
}

}  // namespace demur
