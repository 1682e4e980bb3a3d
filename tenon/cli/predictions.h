// What `predict` has found, as text or file.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::cli {

struct Predictions {
  std::vector<std::string> names;     // of the outputs
  std::vector<Tensor> outputs;        // rows in dimension 0, equally many in each
  std::vector<std::string> classes;   // the model's; empty when it has none
  bool first_is_probability = false;  // the first output is the probability of the second of two

  // The name of each row's class; empty when the first output says nothing of classes.
  std::vector<std::string> classes_of_rows() const;
};

// One line a row: the numbers of all outputs with commas between them, then the class. With
// `header`, a line of names stands above.
StatusOr<std::string> predictions_to_csv(const Predictions& predictions, bool header);

// {"predictions": [...]}, each row nested as the output is (of several outputs an object by name),
// and "classes": the class of each row.
StatusOr<std::string> predictions_to_json(const Predictions& predictions);

// By the suffix of `path`: .csv, .json, .npy (one output), .npz.
Status check_predictions_path(const std::string& path);
Status write_predictions(const std::string& path, const Predictions& predictions);

}  // namespace tenon::cli
