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
#endif

namespace {

const Kernels& best() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const char* given = std::getenv("DEMUR_INSTRUCTIONS");
    const std::string_view most = given == nullptr ? "avx512" : given;
    if (most == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return kernels_for_avx512;
    if (most != "baseline" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return kernels_for_avx2;
#endif
    return kernels_for_baseline;
}

}  // namespace

const Kernels& kernels() {
    static const Kernels& chosen = best();
    return chosen;
}

}  // namespace demur
