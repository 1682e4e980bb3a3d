#include "tenon/keras/weights_file.h"

#include <set>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/io/hdf5_reader.h"
#include "tenon/io/hdf5_writer.h"
#include "tenon/io/zip.h"
#include "tenon/keras/layers/preprocessing/lookup.h"

namespace tenon::keras {

namespace {

constexpr std::string_view kIdfWeights = "/vars/idf_weights";

using LayerGroups = std::vector<std::pair<std::string, Layer*>>;

void add_groups(const Layer::Child& child, const std::string& prefix, std::set<const Layer*>& seen,
                LayerGroups& groups) {
  if (!seen.insert(child.layer.get()).second) return;
  const std::string group = prefix + child.group;
  groups.emplace_back(group, child.layer.get());
  for (const Layer::Child& below : child.layer->children()) {
    add_groups(below, group + "/", seen, groups);
  }
}

// The group of each layer, children below their parents; a layer that several hold stands where
// it is met first.
LayerGroups layer_groups(const Model& model) {
  LayerGroups groups;
  std::set<const Layer*> seen;
  for (const Layer::Child& child : model.network().file_groups(model.is_sequential())) {
    add_groups(child, "", seen, groups);
  }
  return groups;
}

std::vector<Weight*> file_weights(Layer& layer) {
  auto* holder = dynamic_cast<HasFileWeights*>(&layer);
  return holder ? holder->file_weights() : layer.stored_weights();
}

Status write_variables(Hdf5Writer& file, const std::string& group, std::string_view name,
                       std::span<Weight* const> weights) {
  const std::string vars = group + "/vars";
  TENON_RETURN_IF_ERROR(file.group(vars));
  TENON_RETURN_IF_ERROR(file.attribute(vars, "name", name));
  for (size_t i = 0; i < weights.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, weights[i]->variable->read());
    TENON_RETURN_IF_ERROR(file.dataset(cat(vars, "/", i), value.clone()));
  }
  return absl::OkStatus();
}

StatusOr<Tensor> read_variable(const Hdf5Reader& file, const std::string& path,
                               const Weight& weight) {
  TENON_ASSIGN_OR_RETURN(Tensor value, file.read(path));
  if (value.dtype() != weight.dtype && value.dtype() == DType::kInt32 &&
      weight.dtype == DType::kInt64 && value.num_elements() == 1) {
    value = Tensor::scalar<int64_t>(*value.data<int32_t>());  // iterations of other backends
  }
  if (value.dtype() != weight.dtype || !(value.shape() == weight.shape)) {
    return invalid_argument("'", path, "' is ", value.dtype(), value.shape(), ", weight '",
                            weight.path, "' is ", weight.dtype, weight.shape);
  }
  return value;
}

}  // namespace

StatusOr<std::string> encode_weights(const Model& model, const Optimizer* optimizer) {
  Hdf5Writer file;
  for (const auto& [group, layer] : layer_groups(model)) {
    TENON_RETURN_IF_ERROR(write_variables(file, group, layer->name(), file_weights(*layer)));
    auto* holder = dynamic_cast<layers::HasLookup*>(layer);
    if (!holder || !holder->lookup().weights().has_value()) continue;
    for (const std::string& below : holder->weight_groups()) {
      if (!below.empty()) TENON_RETURN_IF_ERROR(file.group(cat(group, below, "/vars")));
      TENON_RETURN_IF_ERROR(
          file.dataset(cat(group, below, kIdfWeights), holder->lookup().weights().clone()));
    }
  }
  if (optimizer) {
    TENON_RETURN_IF_ERROR(write_variables(file, "optimizer", to_snake_case(optimizer->class_name()),
                                          const_cast<Optimizer*>(optimizer)->variables()));
  }
  TENON_RETURN_IF_ERROR(file.group("vars"));
  TENON_RETURN_IF_ERROR(file.attribute("vars", "name", model.name()));
  return std::move(file).finish();
}

Status decode_weights(const Hdf5Reader& file, const Model& model) {
  std::vector<std::pair<Weight*, Tensor>> values;
  for (const auto& [group, layer] : layer_groups(model)) {
    const std::vector<Weight*> weights = file_weights(*layer);
    for (size_t i = 0; i < weights.size(); ++i) {
      StatusOr<Tensor> value = read_variable(file, cat(group, "/vars/", i), *weights[i]);
      if (!value.ok()) return with_context(value.status(), cat("layer '", layer->name(), "'"));
      values.emplace_back(weights[i], *std::move(value));
    }
    if (file.contains(cat(group, "/vars/", weights.size()))) {
      return invalid_argument("layer '", layer->name(), "' has ", weights.size(),
                              " weights, the file has more in '", group, "'");
    }
  }
  for (auto& [weight, value] : values) {
    TENON_RETURN_IF_ERROR(weight->variable->assign(std::move(value)));
  }
  return absl::OkStatus();
}

Status decode_vocabularies(const ZipReader& archive, const Hdf5Reader& file, const Model& model) {
  for (const auto& [group, layer] : layer_groups(model)) {
    auto* holder = dynamic_cast<layers::HasLookup*>(layer);
    if (!holder || holder->lookup().is_known()) continue;
    TENON_ASSIGN_OR_RETURN(const std::string lines,
                           archive.read(cat("assets/", group, "/vocabulary.txt")));
    Tensor weights;
    if (holder->lookup().output_mode == "tf_idf") {
      TENON_ASSIGN_OR_RETURN(weights, file.read(cat(group, kIdfWeights)));
    }
    TENON_RETURN_IF_ERROR(with_context(holder->lookup().set_found(lines, weights), layer->who()));
  }
  return absl::OkStatus();
}

StatusOr<bool> decode_optimizer(const Hdf5Reader& file, Optimizer& optimizer) {
  if (!file.contains("optimizer/vars")) return false;
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> names, file.list("optimizer/vars"));
  const std::vector<Weight*> variables = optimizer.variables();
  if (names.size() != variables.size()) {
    log_warning("Skipping variable loading for optimizer '", to_snake_case(optimizer.class_name()),
                "', because it has ", variables.size(),
                " variables whereas the saved optimizer has ", names.size(), " variables.");
    return false;
  }
  std::vector<Tensor> values;
  for (size_t i = 0; i < variables.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(Tensor value,
                           read_variable(file, cat("optimizer/vars/", i), *variables[i]));
    values.push_back(std::move(value));
  }
  for (size_t i = 0; i < variables.size(); ++i) {
    TENON_RETURN_IF_ERROR(variables[i]->variable->assign(std::move(values[i])));
  }
  return true;
}

Status Model::save_weights(const std::string& path) const {
  TENON_RETURN_IF_ERROR(status_);
  if (!path.ends_with(".weights.h5")) {
    return invalid_argument("the file name must end in '.weights.h5', not '", path, "'");
  }
  TENON_ASSIGN_OR_RETURN(const std::string bytes, encode_weights(*this, optimizer_.get()));
  return write_file(path, bytes);
}

Status Model::load_weights(const std::string& path) {
  TENON_RETURN_IF_ERROR(status_);
  TENON_ASSIGN_OR_RETURN(const auto file, Hdf5Reader::open(path));
  TENON_RETURN_IF_ERROR(decode_weights(*file, *this));
  if (!optimizer_) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const bool restored, decode_optimizer(*file, *optimizer_));
  trained_ = trained_ || restored;
  return absl::OkStatus();
}

}  // namespace tenon::keras
