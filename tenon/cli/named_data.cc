#include "tenon/cli/named_data.h"

namespace tenon::cli {
namespace {

using data::NamedTensor;

PartialShape row_of(const PartialShape& shape) {
  return shape.has_rank() && shape.rank() > 0 ? PartialShape(shape.dims().subspan(1))
                                              : PartialShape(Shape());
}

bool reads(data::Labels labels) {
  return labels == data::Labels::kNumber || labels == data::Labels::kKnown;
}

std::vector<NamedTensor> named_inputs(const keras::Model& model) {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> names = model.network().input_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const keras::KTensor& input = model.network().inputs[i];
    tensors.push_back({.name = names[i],
                       .row = row_of(input.shape()),
                       .is_text = input.dtype() == DType::kString,
                       .is_integer = is_integer(input.dtype())});
  }
  return tensors;
}

std::vector<NamedTensor> named_targets(const keras::Model& model) {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> names = model.network().output_names();
  const std::vector<const keras::Loss*> losses = model.losses();
  for (size_t i = 0; i < names.size(); ++i) {
    const keras::Loss* loss = i < losses.size() ? losses[i] : nullptr;
    PartialShape row = row_of(model.network().outputs[i].shape());
    const bool number = loss && loss->wants_class_numbers();
    if (number && row.rank() > 0) {
      row = PartialShape(row.dims().first(static_cast<size_t>(row.rank()) - 1));
    }
    tensors.push_back({.name = names[i],
                       .row = std::move(row),
                       .is_class_number = number,
                       .optional = loss == nullptr});
  }
  return tensors;
}

}  // namespace

bool wants_named_data(const keras::Model& model) {
  return model.network().inputs.size() > 1 || model.network().outputs.size() > 1;
}

data::Features features_of(DType dtype) {
  return dtype == DType::kString ? data::Features::kTexts
         : is_integer(dtype)     ? data::Features::kIntegers
                                 : data::Features::kFloats;
}

data::Features features_of(const keras::Model& model) {
  return features_of(model.network().inputs[0].dtype());
}

StatusOr<data::NamedRows> open_named_data(const DataFlags& flags, std::vector<NamedTensor> wanted,
                                          data::Labels labels) {
  if (flags.data == "-") {
    return unimplemented(
        "data of a model with several inputs or outputs are read from a file, not from stdin");
  }
  TENON_ASSIGN_OR_RETURN(const data::FileOptions options, flags.options(labels));
  return data::open_named_rows(flags.data, std::move(wanted), options);
}

StatusOr<data::DatasetPtr> open_named_data(const DataFlags& flags, const keras::Model& model,
                                           data::Labels labels) {
  std::vector<NamedTensor> wanted = named_inputs(model);
  for (NamedTensor& target : named_targets(model)) {
    if (reads(labels) && !target.optional) wanted.push_back(std::move(target));
  }
  TENON_ASSIGN_OR_RETURN(const data::NamedRows found,
                         open_named_data(flags, std::move(wanted), labels));
  return found.rows;
}

StatusOr<ModelData> read_named_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels) {
  std::vector<NamedTensor> wanted = named_inputs(model);
  const auto inputs = static_cast<std::ptrdiff_t>(wanted.size());
  if (reads(labels)) {
    for (NamedTensor& target : named_targets(model)) wanted.push_back(std::move(target));
  }
  TENON_ASSIGN_OR_RETURN(const data::NamedRows found,
                         open_named_data(flags, std::move(wanted), labels));
  TENON_ASSIGN_OR_RETURN(const data::Element tensors, found.collect());
  ModelData held;
  held.x.assign(tensors.begin(), tensors.begin() + inputs);
  held.y.assign(tensors.begin() + inputs, tensors.end());
  return held;
}

StatusOr<ModelData> read_model_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels, data::Names& names) {
  if (wants_named_data(model)) return read_named_data(flags, model, labels);
  TENON_ASSIGN_OR_RETURN(data::Table table, flags.read(labels, names, features_of(model)));
  names = std::move(table.names);
  return ModelData{keras::Inputs(std::move(table.x)), keras::Targets(std::move(table.y))};
}

}  // namespace tenon::cli
