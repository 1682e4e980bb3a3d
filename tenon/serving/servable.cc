#include "tenon/serving/servable.h"

namespace tenon::serving {

const Signature* find_signature(const Servable& servable, std::string_view name) {
  if (name.empty()) name = kDefaultSignature;
  for (const Signature& signature : servable.signatures()) {
    if (signature.name == name) return &signature;
  }
  return nullptr;
}

StatusOr<std::vector<std::vector<Tensor>>> Servable::run_together(std::span<const Part> parts,
                                                                  const Tensor& input,
                                                                  const RunLimits& limits) const {
  std::vector<std::vector<Tensor>> results;
  for (const Part& part : parts) {
    TENON_ASSIGN_OR_RETURN(results.emplace_back(),
                           run(*part.signature, std::span(&input, 1), part.outputs, limits));
  }
  return results;
}

}  // namespace tenon::serving
