#include "tenon/cli/verbs.h"

namespace tenon::cli {

std::span<const Verb> verbs() {
  static constexpr Verb kVerbs[] = {
      {"run", "run one signature of a SavedModel", run_command},
      {"serve", "serve SavedModels by REST and gRPC", serve_command},
      {"inspect", "show a SavedModel's signatures, ops and variables", inspect_command},
      {"ops", "list the implemented ops", ops_command},
      {"devices", "list the devices", devices_command},
      {"doctor", "check this machine, and say what to do", doctor_command},
  };
  return kVerbs;
}

}  // namespace tenon::cli
