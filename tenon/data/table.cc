#include "tenon/data/files.h"
#include "tenon/io/npy.h"

namespace tenon::data {

namespace {

StatusOr<Table> read_npz(const std::string& path, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const NpzReader npz, NpzReader::open(path));
  const auto& names = npz.names();
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::string x = options.x_key, y = options.y_key;
  if (x.empty()) x = has("x") ? "x" : has("x_train") ? "x_train" : names.empty() ? "" : names[0];
  if (y.empty()) y = has("y") ? "y" : has("y_train") ? "y_train" : names.size() > 1 ? names[1] : "";
  Table table;
  TENON_ASSIGN_OR_RETURN(table.x, npz.read(x));
  if (options.with_labels && !y.empty()) {
    TENON_ASSIGN_OR_RETURN(table.y, npz.read(y));
  }
  return table;
}

StatusOr<Tensor> read_array(const std::string& path) {
  return path.ends_with(".npy") ? read_npy(path) : read_idx(path);
}

}  // namespace

StatusOr<Table> read_table(const std::string& path, const FileOptions& options) {
  Table table;
  if (path.ends_with(".npz")) {
    TENON_ASSIGN_OR_RETURN(table, read_npz(path, options));
  } else if (path.ends_with(".csv") || path.ends_with(".tsv")) {
    TENON_ASSIGN_OR_RETURN(table, read_csv(path, options));
  } else {
    TENON_ASSIGN_OR_RETURN(table.x, read_array(path));
  }
  if (!options.labels.empty()) {
    TENON_ASSIGN_OR_RETURN(table.y, read_array(options.labels));
  }
  if (table.x.rank() == 0) return invalid_argument(path, ": a scalar has no rows");
  if (table.y.has_value() && (table.y.rank() == 0 || table.y.dim(0) != table.x.dim(0))) {
    return invalid_argument(path, " has ", table.x.dim(0), " rows, the labels have shape ",
                            table.y.shape());
  }
  return table;
}

}  // namespace tenon::data
