// The task `evaluator` of a cluster: judges each checkpoint that the others write.
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::cli {

struct EvaluatorOptions {
  std::string checkpoint_dir;
  std::string log_dir;  // empty: none; else LOG_DIR/evaluator gets TensorBoard events
  int64_t epochs = 1;   // after that of this number no more come
  bool json = false;
};

// Judges the checkpoints of the folder, from the oldest there is, by `evaluate`, and waits for new
// ones until that of the last epoch has been judged. Prints a line for each.
Status evaluate_checkpoints(keras::Model& model, const EvaluatorOptions& options,
                            FunctionRef<StatusOr<keras::Logs>()> evaluate);

}  // namespace tenon::cli
