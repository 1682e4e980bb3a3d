// The flags by which `train`, `evaluate`, `predict` and `export` name their data.
#pragma once

#include "tenon/cli/flags.h"
#include "tenon/data/open_rows.h"

namespace tenon::cli {

struct DataFlags {
  std::string data, labels, label_column, separator, header = "auto", x_key, y_key;
  std::string image_size, color_mode = "rgb";
  std::vector<std::string> features;

  // Rows of the verb's table of flags.
  std::vector<Flag> flags();

  // What the flags say of the file. `names` are the model's: see data::FileOptions.
  StatusOr<data::FileOptions> options(data::Labels labels, data::Names names = {}) const;

  // Reads --data. With labels that are read, data without any are INVALID_ARGUMENT; so are features
  // that are texts, where the model takes none.
  StatusOr<data::Table> read(data::Labels labels, data::Names names, data::Features take) const;

  // As read(), row by row.
  StatusOr<data::RowStream> open(data::Labels labels, data::Names names, data::Features take) const;
};

}  // namespace tenon::cli
