#include "tenon/cli/verbs.h"

namespace tenon::cli {

std::span<const Verb> verbs() {
  static constexpr Verb kVerbs[] = {
      {"train", "train a Keras model on CSV, IDX or NPZ data", train_command},
      {"evaluate", "judge a trained model on data", evaluate_command},
      {"predict", "predict for each row of the data", predict_command},
      {"export", "turn a .keras file or a checkpoint into a SavedModel", export_command},
      {"convert", "turn a foreign format into a SavedModel, a model into a .tflite",
       convert_command},
      {"run", "run one signature of a SavedModel", run_command},
      {"serve", "serve SavedModels by REST and gRPC", serve_command},
      {"inspect", "show a SavedModel's signatures, ops and variables", inspect_command},
      {"verify", "replay a SavedModel's golden records", verify_command},
      {"bench", "time a SavedModel or a training step", bench_command},
      {"image", "lock, build, verify and ship OCI images", image_command},
      {"ops", "list the implemented ops", ops_command},
      {"devices", "list the devices", devices_command},
      {"doctor", "check this machine, and say what to do", doctor_command},
  };
  return kVerbs;
}

}  // namespace tenon::cli
