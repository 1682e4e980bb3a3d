#include "tenon/cli/named_data.h"

#include "tenon/io/npy.h"

namespace tenon::cli {
namespace {

// An input or output: its name and the shape of its rows with the batch in front.
struct NamedTensor {
  std::string name;
  PartialShape shape;
  bool is_class_number = false;  // the target is a number of a class
  bool optional = false;
};

std::vector<NamedTensor> named_inputs(const keras::Model& model) {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> names = model.network().input_names();
  for (size_t i = 0; i < names.size(); ++i) {
    tensors.push_back({names[i], model.network().inputs[i].shape()});
  }
  return tensors;
}

std::vector<NamedTensor> named_targets(const keras::Model& model) {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> names = model.network().output_names();
  const std::vector<const keras::Loss*> losses = model.losses();
  for (size_t i = 0; i < names.size(); ++i) {
    const keras::Loss* loss = i < losses.size() ? losses[i] : nullptr;
    PartialShape shape = model.network().outputs[i].shape();
    const bool number = loss && loss->wants_class_numbers();
    if (number && shape.rank() > 1) {
      shape = PartialShape(shape.dims().first(static_cast<size_t>(shape.rank()) - 1));
    }
    tensors.push_back({names[i], std::move(shape), number, loss == nullptr});
  }
  return tensors;
}

Status missing(const std::string& path, const NamedTensor& tensor, std::string_view what,
               const std::vector<std::string>& there) {
  return invalid_argument("'", path, "' has no ", what, " '", tensor.name,
                          "', which the model wants; there are ", join(there, ", "));
}

StatusOr<keras::Tensors> read_arrays(const NpzReader& npz, const std::string& path,
                                     const std::vector<NamedTensor>& wanted) {
  keras::Tensors tensors;
  for (const NamedTensor& tensor : wanted) {
    const auto& names = npz.names();
    if (std::find(names.begin(), names.end(), tensor.name) == names.end()) {
      if (!tensor.optional) return missing(path, tensor, "array", names);
      tensors.emplace_back();
      continue;
    }
    TENON_ASSIGN_OR_RETURN(Tensor array, npz.read(tensor.name));
    tensors.push_back(std::move(array));
  }
  return tensors;
}

// The columns that a tensor is made of; empty where the file lacks one of them.
std::vector<std::string> columns_of(const NamedTensor& tensor,
                                    const std::vector<std::string>& there) {
  const auto is_there = [&](const std::string& name) {
    return std::find(there.begin(), there.end(), name) != there.end();
  };
  int64_t width = 1;
  for (const int64_t dim : tensor.shape.dims().subspan(1)) {
    if (dim < 0 || __builtin_mul_overflow(width, dim, &width)) return {};
  }
  if (width > static_cast<int64_t>(there.size())) return {};
  if (width == 1 && is_there(tensor.name)) return {tensor.name};
  std::vector<std::string> columns;
  for (int64_t i = 0; i < width; ++i) columns.push_back(cat(tensor.name, "_", i));
  return std::all_of(columns.begin(), columns.end(), is_there) ? columns
                                                               : std::vector<std::string>();
}

StatusOr<Tensor> class_numbers(const Tensor& values, const std::string& column) {
  Tensor numbers(DType::kInt64, values.shape());
  for (int64_t i = 0; i < values.num_elements(); ++i) {
    const float value = values.data<float>()[i];
    if (!(value >= 0 && value < 9e15f) || value != std::floor(value)) {
      return invalid_argument("column '", column, "', row ", i + 1, ": ", value,
                              " is no number of a class");
    }
    numbers.mutable_data<int64_t>()[i] = static_cast<int64_t>(value);
  }
  return numbers;
}

// Columns [begin, begin + count) of a matrix, as rows of the tensor's shape.
StatusOr<Tensor> cut(const Tensor& matrix, int64_t begin, int64_t count,
                     const NamedTensor& tensor) {
  const int64_t rows = matrix.dim(0), width = matrix.dim(1);
  Shape shape{rows};
  for (const int64_t dim : tensor.shape.dims().subspan(1)) shape.append(dim);
  Tensor values(DType::kFloat, std::move(shape));
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(matrix.data<float>() + row * width + begin, count,
                values.mutable_data<float>() + row * count);
  }
  if (!tensor.is_class_number) return values;
  return class_numbers(values, tensor.name);
}

// The file is read once, for all tensors.
StatusOr<keras::Tensors> read_columns(const DataFlags& flags,
                                      const std::vector<NamedTensor>& wanted) {
  TENON_ASSIGN_OR_RETURN(const data::FileOptions options, flags.options(data::Labels::kNone));
  TENON_ASSIGN_OR_RETURN(const auto there, data::csv_names(flags.data, options));
  DataFlags own = flags;
  own.features.clear();
  std::vector<int64_t> counts;
  for (const NamedTensor& tensor : wanted) {
    const std::vector<std::string> columns = columns_of(tensor, there);
    if (columns.empty() && !tensor.optional) {
      return missing(flags.data, tensor, "columns of", there);
    }
    counts.push_back(static_cast<int64_t>(columns.size()));
    own.features.insert(own.features.end(), columns.begin(), columns.end());
  }
  TENON_ASSIGN_OR_RETURN(const data::Table table, own.read(data::Labels::kNone));
  keras::Tensors tensors;
  int64_t begin = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    Tensor& tensor = tensors.emplace_back();
    if (counts[i] == 0) continue;
    TENON_ASSIGN_OR_RETURN(tensor, cut(table.x, begin, counts[i], wanted[i]));
    begin += counts[i];
  }
  return tensors;
}

}  // namespace

bool wants_named_data(const keras::Model& model) {
  return model.network().inputs.size() > 1 || model.network().outputs.size() > 1;
}

StatusOr<ModelData> read_named_data(const DataFlags& flags, const keras::Model& model,
                                    bool with_targets) {
  if (flags.data == "-") {
    return unimplemented(
        "data of a model with several inputs or outputs are read from a file, not from stdin");
  }
  std::vector<NamedTensor> wanted = named_inputs(model);
  const auto inputs = static_cast<std::ptrdiff_t>(wanted.size());
  if (with_targets) {
    for (NamedTensor& target : named_targets(model)) wanted.push_back(std::move(target));
  }
  const StatusOr<NpzReader> npz = NpzReader::open(flags.data);
  TENON_ASSIGN_OR_RETURN(const keras::Tensors tensors, npz.ok()
                                                           ? read_arrays(*npz, flags.data, wanted)
                                                           : read_columns(flags, wanted));
  ModelData found;
  found.x.assign(tensors.begin(), tensors.begin() + inputs);
  found.y.assign(tensors.begin() + inputs, tensors.end());
  return found;
}

StatusOr<ModelData> read_model_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels, data::Names& names) {
  const bool with_targets = labels == data::Labels::kNumber || labels == data::Labels::kKnown;
  if (wants_named_data(model)) return read_named_data(flags, model, with_targets);
  TENON_ASSIGN_OR_RETURN(data::Table table, flags.read(labels, names));
  names = std::move(table.names);
  return ModelData{keras::Inputs(std::move(table.x)), keras::Targets(std::move(table.y))};
}

}  // namespace tenon::cli
