// Several tokens to each of several texts, without a word to the caller in between.
#pragma once

#include "interface.h"
#include "network.h"

namespace demur {

// -1, or the first row that does not fit, in which case nothing was done. results: how many there are.
int write(Network& network, const demur_writing& writing, std::int32_t& results);

}  // namespace demur
