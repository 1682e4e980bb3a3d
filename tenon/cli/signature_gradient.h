// The gradient of a signature, for `tenon run --grad_outputs`.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tenon::cli {

struct SignatureGradient {
  std::shared_ptr<Executable> executable;  // args: the signature's inputs, then one dy an output
  std::vector<std::string> inputs;         // what each result is the gradient for
};

// d(sum of dy * y) / dx for each floating or complex input, y being the outputs of that name.
// Zeros where no gradient flows. INVALID_ARGUMENT for a name that is no output.
StatusOr<SignatureGradient> signature_gradient(const SavedModel& model, const Signature& signature,
                                               std::span<const std::string> outputs,
                                               ExecutableOptions options);

}  // namespace tenon::cli
