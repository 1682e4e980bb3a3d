#include "tenon/serving/servable.h"

namespace tenon::serving {

const Signature* find_signature(const Servable& servable, std::string_view name) {
  if (name.empty()) name = kDefaultSignature;
  for (const Signature& signature : servable.signatures()) {
    if (signature.name == name) return &signature;
  }
  return nullptr;
}

}  // namespace tenon::serving
