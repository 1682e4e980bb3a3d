// usage: engine_alone MODEL   loads a SavedModel and prints how many nodes its signatures have
#include <cstdio>

#include "tenon/ops/register_all.h"
#include "tenon/saved_model/saved_model.h"

int main(int argc, char** argv) {
  if (argc != 2 || !tenon::register_all_ops(tenon::OpRegistry::global()).ok()) return 2;
  const auto model = tenon::SavedModel::load(argv[1]);
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", std::string(model.status().message()).c_str());
    return 1;
  }
  for (const tenon::Signature& signature : (*model)->signatures()) {
    const auto executable = (*model)->executable(signature);
    if (!executable.ok()) return 1;
    std::printf("%s\n", signature.name.c_str());
  }
  return 0;
}
