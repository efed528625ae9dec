// Compiled once for every set of instructions: DEMUR_TARGET is its name.
#include "kernels.h"

#include "attention.h"
#include "draw.h"
#include "product.h"
#include "rows.h"
#include "signals.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define JOINED(first, second) first##second
#define TABLE_OF(name) JOINED(kernels_for_, name)

namespace demur {

extern const Kernels TABLE_OF(DEMUR_TARGET);
const Kernels TABLE_OF(DEMUR_TARGET) = {
    TEXT(DEMUR_TARGET), PANEL,  pack,   pack_bytes,        multiply, normalise,
    round_row,          rotate, attend, read_distribution, draw,
};

}  // namespace demur
