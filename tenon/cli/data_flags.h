// The flags by which `train`, `evaluate` and `predict` name their data.
#pragma once

#include "tenon/cli/flags.h"
#include "tenon/data/files.h"

namespace tenon::cli {

struct DataFlags {
  std::string data, labels, label_column, x_key, y_key;

  // Rows of the verb's table of flags.
  std::vector<Flag> flags();

  // `with_labels` false: features alone.
  StatusOr<data::Table> read(bool with_labels) const;
};

}  // namespace tenon::cli
