// Which of the compiled kernels this processor can run.
#include "kernels.h"

namespace demur {

extern const Kernels kernels_for_baseline;
#if defined(__x86_64__)
extern const Kernels kernels_for_avx2;
extern const Kernels kernels_for_avx512;
#endif

const Kernels& kernels() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return kernels_for_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kernels_for_avx2;
#endif
    return kernels_for_baseline;
}

}  // namespace demur
