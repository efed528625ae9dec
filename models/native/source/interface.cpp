#include "interface.h"

#include <new>

#include "kernels.h"
#include "network.h"

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED void* demur_new(const demur_shape* shape, const float* const* weights) {
    try {
        return new demur::Network(*shape, weights);
    } catch (const std::exception&) {
        return nullptr;
    }
}

EXPORTED void demur_delete(void* network) { delete static_cast<demur::Network*>(network); }

EXPORTED std::int32_t demur_run(void* network, const demur_pass* pass) {
    auto& ours = *static_cast<demur::Network*>(network);
    const int misfit = ours.misfit(*pass);
    if (misfit >= 0) return misfit;
    try {
        ours.run(*pass);
    } catch (const std::exception&) {
        return -2;
    }
    return -1;
}

EXPORTED const char* demur_kernels() { return demur::kernels().name; }
}
