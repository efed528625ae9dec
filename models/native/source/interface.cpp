#include "interface.h"

#include <new>

#include "kernels.h"
#include "network.h"
#include "reads.h"

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

EXPORTED void* demur_reads_new(const void* network, const std::int32_t* layers, std::int32_t count,
                               std::int32_t units, const float* weights, const float* bias) {
    const demur_shape& shape = static_cast<const demur::Network*>(network)->shape();
    for (int index = 0; index < count; ++index)
        if (layers[index] < 0 || layers[index] > shape.layers) return nullptr;
    try {
        return new demur::Reads(layers, count, units, shape.width, weights, bias);
    } catch (const std::exception&) {
        return nullptr;
    }
}

EXPORTED void demur_reads_delete(void* reads) { delete static_cast<demur::Reads*>(reads); }

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
