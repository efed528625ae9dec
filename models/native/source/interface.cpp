#include "interface.h"

#include <new>

#include "aligned.h"
#include "kernels.h"
#include "network.h"
#include "probes.h"
#include "writing.h"

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED void* demur_new(const demur_shape* shape, const void* const* weights) {
    try {
        return new demur::Network(*shape, weights);
    } catch (const std::exception&) {
        return nullptr;
    }
}

EXPORTED void demur_delete(void* network) { delete static_cast<demur::Network*>(network); }

EXPORTED void* demur_probes_new(const void* network, const demur_probe* probes, std::int32_t count,
                                std::int32_t layers) {
    try {
        return new demur::Probes(probes, count, layers, static_cast<const demur::Network*>(network)->shape().width);
    } catch (const std::exception&) {
        return nullptr;
    }
}

EXPORTED void demur_probes_delete(void* probes) { delete static_cast<demur::Probes*>(probes); }

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

EXPORTED std::int32_t demur_write(void* network, const demur_writing* writing, std::int32_t* results) {
    try {
        return demur::write(*static_cast<demur::Network*>(network), *writing, *results);
    } catch (const std::exception&) {
        return -2;
    }
}

EXPORTED std::int32_t demur_draw(const float* logits, std::int32_t rows, std::int32_t vocabulary,
                                 const double* uniforms, std::int64_t* ids) {
    try {
        demur::Aligned<float> mass(static_cast<std::size_t>(vocabulary));
        for (int row = 0; row < rows; ++row)
            ids[row] = demur::kernels().draw(logits + static_cast<long>(row) * vocabulary, vocabulary, 1.0f,
                                             uniforms[row], mass.data());
    } catch (const std::exception&) {
        return -2;
    }
    return -1;
}

EXPORTED const char* demur_kernels() { return demur::kernels().name; }
}
