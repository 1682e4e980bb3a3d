#include "tenon/cli/inspect_file.h"

#include "tenon/base/files.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_source.h"
#include "tenon/io/hdf5_reader.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/graph_file.h"

namespace tenon::cli {
namespace {

struct TensorRow {
  std::string name;
  DType dtype = DType::kInvalid;
  Shape shape;
  uint64_t bytes = 0;
};

// {"format":...,FIRST,"tensors":[...],"bytes":N} or a table with its sum.
void print_tensors(std::string_view format, const std::vector<TensorRow>& rows, bool json) {
  uint64_t total = 0;
  size_t width = 0;
  for (const TensorRow& row : rows) {
    total += row.bytes;
    width = std::max(width, row.name.size());
  }
  if (json) {
    std::vector<std::string> parts;
    for (const TensorRow& row : rows) {
      parts.push_back(cat("{\"name\":", json_string(row.name),
                          ",\"dtype\":", json_string(info(row.dtype).name), ",\"shape\":[",
                          join(row.shape.dims(), ","), "],\"bytes\":", row.bytes, "}"));
    }
    print(cat("{\"format\":", json_string(format), ",\"tensors\":[", join(parts, ","),
              "],\"bytes\":", total, "}\n"));
    return;
  }
  for (const TensorRow& row : rows) {
    std::string left = row.name;
    left.resize(width + 2, ' ');
    print(cat(left, row.dtype, " ", row.shape, "  ", human_bytes(row.bytes), "\n"));
  }
  print(cat(rows.size(), " tensors, ", human_bytes(total), "\n"));
}

Status inspect_checkpoint(const std::string& path, bool json) {
  constexpr std::string_view kEnding = ".index";
  const std::string prefix =
      path.ends_with(kEnding) ? path.substr(0, path.size() - kEnding.size()) : path;
  TENON_ASSIGN_OR_RETURN(const auto bundle, BundleReader::open(prefix));
  std::vector<TensorRow> rows;
  for (const auto& [name, entry] : bundle->entries()) {
    const bool text = entry.dtype == DType::kString;
    const auto elements = static_cast<uint64_t>(entry.shape.num_elements());
    const uint64_t bytes = text ? entry.size : elements * size_of(entry.dtype);
    rows.push_back({name, entry.dtype, entry.shape, bytes});
  }
  print_tensors("checkpoint", rows, json);
  return absl::OkStatus();
}

Status inspect_hdf5(const std::string& path, bool json) {
  TENON_ASSIGN_OR_RETURN(const auto file, Hdf5Reader::open(path));
  TENON_ASSIGN_OR_RETURN(const auto names, file->datasets());
  std::vector<TensorRow> rows;
  for (const std::string& name : names) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, file->read(name));
    rows.push_back({name, value.dtype(), value.shape(), value.num_bytes()});
  }
  print_tensors("hdf5", rows, json);
  return absl::OkStatus();
}

Status inspect_keras(const std::string& path, bool json) {
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(path, nullptr));
  if (!json) {
    print(model->summary());
    return absl::OkStatus();
  }
  std::vector<TensorRow> rows;
  for (const keras::Weight* weight : model->weights()) {
    const auto elements = static_cast<uint64_t>(weight->shape.num_elements());
    rows.push_back({weight->path, weight->dtype, weight->shape, elements * size_of(weight->dtype)});
  }
  print_tensors("keras", rows, true);
  return absl::OkStatus();
}

std::string described(const GraphFile& file, const std::string& tensor) {
  const StatusOr<ValueInfo> value = file.importer->describe_tensor(tensor);
  return value.ok() ? cat(tensor, "  ", value->dtype, " ", value->shape) : tensor;
}

void print_graph(const GraphFile& file) {
  print("Inputs (placeholders):\n");
  for (const std::string& tensor : file.inputs) print(cat("  ", described(file, tensor), "\n"));
  print("Outputs (read by no node):\n");
  for (const std::string& tensor : file.outputs) print(cat("  ", described(file, tensor), "\n"));
  std::vector<std::string> ops;
  int64_t nodes = 0;
  for (const auto& [op, count] : file.ops) {
    ops.push_back(cat(op, " ", count));
    nodes += count;
  }
  print(cat("Ops (", nodes, " nodes): ", join(ops, ", "), "\n"));
  print(file.missing.empty() ? "Ops that are not implemented: none\n"
                             : "Ops that are not implemented:\n");
  for (const MissingOp& op : file.missing) {
    print(cat("  ", op.op, ": ", op.nodes, op.nodes == 1 ? " node, '" : " nodes, the first '",
              op.node, op.function.empty() ? "'" : cat("' in function '", op.function, "'"), "\n"));
  }
  print(cat("Variables: ", file.variables.size(), "\nConstants: ", human_bytes(file.constant_bytes),
            "\n"));
}

void print_graph_json(const GraphFile& file) {
  std::vector<std::string> ops, missing;
  for (const auto& [op, count] : file.ops) ops.push_back(cat(json_string(op), ":", count));
  for (const MissingOp& op : file.missing) {
    missing.push_back(cat("{\"op\":", json_string(op.op),
                          ",\"function\":", json_string(op.function),
                          ",\"node\":", json_string(op.node), ",\"nodes\":", op.nodes, "}"));
  }
  print(cat("{\"format\":\"graph\",\"inputs\":", json_strings(file.inputs), ",\"outputs\":",
            json_strings(file.outputs), ",\"ops\":{", join(ops, ","), "},\"missing\":{\"ops\":[",
            join(missing, ","), "]},\"variables\":", json_strings(file.variables),
            ",\"constant_bytes\":", file.constant_bytes, "}\n"));
}

Status inspect_graph(const std::string& path, bool json) {
  TENON_ASSIGN_OR_RETURN(const GraphFile file, read_graph_file(path));
  json ? print_graph_json(file) : print_graph(file);
  return absl::OkStatus();
}

constexpr struct {
  std::string_view ending;
  Status (*inspect)(const std::string& path, bool json);
} kFormats[] = {{".pb", inspect_graph},        {".pbtxt", inspect_graph}, {".meta", inspect_graph},
                {".keras", inspect_keras},     {".h5", inspect_hdf5},     {".hdf5", inspect_hdf5},
                {".index", inspect_checkpoint}};

}  // namespace

bool is_model_file(const std::string& path) {
  if (path == "saved_model.pb" || path.ends_with("/saved_model.pb")) return false;
  for (const auto& format : kFormats) {
    if (path.ends_with(format.ending) && !is_directory(path)) return true;
  }
  return !path_exists(path) && path_exists(path + ".index");
}

Status inspect_file(const std::string& path, bool json) {
  for (const auto& format : kFormats) {
    if (path.ends_with(format.ending)) return format.inspect(path, json);
  }
  return inspect_checkpoint(path, json);
}

}  // namespace tenon::cli
