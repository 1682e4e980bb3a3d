#include "tenon/cli/named_data.h"

#include "tenon/base/files.h"
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

// The columns of a CSV, with its header read.
class CsvColumns {
 public:
  CsvColumns(const DataFlags& flags, std::string text) : flags_(flags), text_(std::move(text)) {
    const std::string header = text_.substr(0, text_.find('\n'));
    for (char separator : {',', ';', '\t', '|'}) {
      if (header.find(separator) == std::string::npos) continue;
      for (std::string_view cell : split(header, separator)) {
        std::string name(cell);
        std::erase_if(name, [](char c) { return c == '"' || c == '\r'; });
        names_.push_back(std::move(name));
      }
      break;
    }
    if (names_.empty()) names_.push_back(header);
  }

  StatusOr<keras::Tensors> read(const std::vector<NamedTensor>& wanted) const {
    keras::Tensors tensors;
    for (const NamedTensor& tensor : wanted) {
      DataFlags own = flags_;
      int64_t width = 1;
      for (int axis = 1; axis < tensor.shape.rank(); ++axis) width *= tensor.shape[axis];
      const auto has = [&](const std::string& name) {
        return std::find(names_.begin(), names_.end(), name) != names_.end();
      };
      own.features.clear();
      if (width == 1 && has(tensor.name)) {
        own.features = {tensor.name};
      } else {
        for (int64_t i = 0; i < std::min<int64_t>(width, 1 << 20); ++i) {
          own.features.push_back(cat(tensor.name, "_", i));
        }
      }
      if (width < 1 || !std::all_of(own.features.begin(), own.features.end(), has)) {
        if (!tensor.optional) return missing(flags_.data, tensor, "columns of", names_);
        tensors.emplace_back();
        continue;
      }
      TENON_ASSIGN_OR_RETURN(data::Table table, own.read(data::Labels::kNone));
      TENON_ASSIGN_OR_RETURN(Tensor shaped, with_shape(std::move(table.x), tensor));
      tensors.push_back(std::move(shaped));
    }
    return tensors;
  }

 private:
  static StatusOr<Tensor> with_shape(Tensor x, const NamedTensor& tensor) {
    Shape shape{x.dim(0)};
    for (int axis = 1; axis < tensor.shape.rank(); ++axis) shape.append(tensor.shape[axis]);
    Tensor shaped = x.reshaped(std::move(shape));
    if (!tensor.is_class_number) return shaped;
    Tensor numbers(DType::kInt64, shaped.shape());
    for (int64_t i = 0; i < shaped.num_elements(); ++i) {
      const float value = shaped.data<float>()[i];
      if (!(value >= 0 && value < 9e15f) || value != std::floor(value)) {
        return invalid_argument("column '", tensor.name, "', row ", i + 1, ": ", value,
                                " is no number of a class");
      }
      numbers.mutable_data<int64_t>()[i] = static_cast<int64_t>(value);
    }
    return numbers;
  }

  const DataFlags& flags_;
  std::string text_;
  std::vector<std::string> names_;
};

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
  ModelData found;
  const StatusOr<NpzReader> npz = NpzReader::open(flags.data);
  if (npz.ok()) {
    TENON_ASSIGN_OR_RETURN(found.x, read_arrays(*npz, flags.data, named_inputs(model)));
    if (!with_targets) return found;
    TENON_ASSIGN_OR_RETURN(found.y, read_arrays(*npz, flags.data, named_targets(model)));
    return found;
  }
  TENON_ASSIGN_OR_RETURN(std::string text, read_file(flags.data));
  if (text.starts_with("PK")) return npz.status();
  const CsvColumns columns(flags, std::move(text));
  TENON_ASSIGN_OR_RETURN(found.x, columns.read(named_inputs(model)));
  if (!with_targets) return found;
  TENON_ASSIGN_OR_RETURN(found.y, columns.read(named_targets(model)));
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
