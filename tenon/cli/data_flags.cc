#include "tenon/cli/data_flags.h"

namespace tenon::cli {

std::vector<Flag> DataFlags::flags() {
  return {
      {"data", &data, "FILE", "CSV (label last), IDX (.gz), NPY or NPZ (x, y)", true},
      {"labels", &labels, "FILE", "the labels of IDX and NPY data"},
      {"label_column", &label_column, "NAME|N", "the CSV column of the labels; 0 is the first"},
      {"x_key", &x_key, "NAME", "the NPZ array of the features"},
      {"y_key", &y_key, "NAME", "the NPZ array of the labels"},
  };
}

StatusOr<data::Table> DataFlags::read(bool with_labels) const {
  data::FileOptions options;
  options.labels = with_labels ? labels : "";
  options.label_column = label_column;
  options.with_labels = with_labels;
  options.x_key = x_key;
  options.y_key = y_key;
  TENON_ASSIGN_OR_RETURN(data::Table table, data::read_table(data, options));
  if (with_labels && !table.y.has_value()) {
    return invalid_argument("'", data, "' holds no labels; name their file with --labels");
  }
  return table;
}

}  // namespace tenon::cli
