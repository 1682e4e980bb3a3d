#include "tenon/keras/training_data.h"

namespace tenon::keras {

namespace {

void match_input_ranks(const Network& network, Inputs& x) {
  for (size_t i = 0; i < std::min(x.size(), network.inputs.size()); ++i) {
    x[i] = match_input_rank(std::move(x[i]), network.inputs[i].shape());
  }
}

Status check_input_rows(const Network& network, const data::Element& columns) {
  if (columns.size() < network.inputs.size()) {
    return invalid_argument("the model has ", network.inputs.size(), " inputs, ", columns.size(),
                            " were given");
  }
  for (const Tensor& column : columns) {
    if (!column.has_value() || column.rank() == 0) {
      return invalid_argument("data without rows: a tensor of at least one dimension is expected");
    }
    if (column.dim(0) != columns[0].dim(0)) {
      std::vector<int64_t> rows;
      for (const Tensor& each : columns) rows.push_back(each.rank() > 0 ? each.dim(0) : 0);
      return invalid_argument("data cardinality is ambiguous: the arrays have ", join(rows, ", "),
                              " rows; make sure that all have the same number");
    }
  }
  if (columns[0].dim(0) == 0) return invalid_argument("there are no rows");
  return absl::OkStatus();
}

// Of what is given for the outputs, where each stands among the columns; adds them there.
// `wanted`: the outputs that have a loss, for which alone targets may be given too.
StatusOr<std::vector<int>> place_columns(Tensors given, std::span<const Loss* const> losses,
                                         bool one_for_all, std::string_view what,
                                         data::Element& columns) {
  std::vector<int> places(losses.size(), -1);
  const auto any = [](const Tensor& tensor) { return tensor.has_value(); };
  if (std::none_of(given.begin(), given.end(), any)) return places;
  const auto with_loss = static_cast<size_t>(
      std::count_if(losses.begin(), losses.end(), [](const Loss* loss) { return loss; }));
  const bool shared = one_for_all && given.size() == 1;
  const bool of_losses = given.size() == with_loss;
  if (given.size() != losses.size() && !shared && !of_losses) {
    return invalid_argument("the model has ", losses.size(), " outputs, ", given.size(), " ", what,
                            " were given");
  }
  size_t next = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (given.size() != losses.size() && !losses[i]) continue;
    const size_t from = shared ? 0 : next++;
    if (!given[from].has_value()) continue;
    if (shared && i > 0 && places[0] >= 0) {
      places[i] = places[0];
      continue;
    }
    places[i] = static_cast<int>(columns.size());
    columns.push_back(given[from]);
  }
  return places;
}

Status check_class_numbers(const Loss* loss, const PartialShape& predictions, const Tensor& y) {
  const int64_t classes = predictions.rank() > 0 ? predictions[predictions.rank() - 1] : -1;
  if (!loss || !loss->wants_class_numbers() || classes <= 0) return absl::OkStatus();
  return check_classes(y, classes, 0, loss->ignored_class());
}

}  // namespace

StatusOr<TrainingColumns> training_columns(const Network& network,
                                           std::span<const Loss* const> losses, Inputs x, Targets y,
                                           SampleWeights weights) {
  TrainingColumns data;
  match_input_ranks(network, x);
  data.layout.inputs = x.size();
  data.columns.assign(x.begin(), x.end());
  TENON_ASSIGN_OR_RETURN(data.layout.targets,
                         place_columns(std::move(y), losses, false, "targets", data.columns));
  TENON_ASSIGN_OR_RETURN(data.layout.weights, place_columns(std::move(weights), losses, true,
                                                            "sample weights", data.columns));
  TENON_RETURN_IF_ERROR(check_input_rows(network, data.columns));
  data.rows = data.columns[0].dim(0);
  for (size_t i = 0; i < losses.size(); ++i) {
    const int place = data.layout.targets[i];
    if (losses[i] && place < 0) {
      return invalid_argument(
          "training and evaluation need targets",
          losses.size() > 1 ? cat(" of output '", network.output_names()[i], "'") : "");
    }
    if (place >= 0) {
      TENON_RETURN_IF_ERROR(check_class_numbers(losses[i], network.outputs[i].shape(),
                                                data.columns[static_cast<size_t>(place)]));
    }
  }
  return data;
}

StatusOr<Tensor> weights_of_classes(const Tensor& y, const std::map<int64_t, double>& by_class) {
  Tensor weights(DType::kFloat, Shape{y.dim(0)});
  const int64_t each = y.num_elements() / std::max<int64_t>(1, y.dim(0));
  Status status;
  const bool known = visit<RealTypes>(y.dtype(), [&]<class T>() {
    for (int64_t row = 0; row < y.dim(0); ++row) {
      const T* values = y.data<T>() + row * each;
      int64_t label = 0;
      if (each == 1) {
        label = static_cast<int64_t>(values[0]);
      } else {
        for (int64_t i = 1; i < each; ++i) label = values[i] > values[label] ? i : label;
      }
      const auto it = by_class.find(label);
      weights.mutable_data<float>()[row] =
          it == by_class.end() ? 1.0f : static_cast<float>(it->second);
    }
  });
  if (!known) return invalid_argument("class_weight needs numbers as labels, not ", y.dtype());
  return weights;
}

StatusOr<Batches> batches_of(TrainingColumns data, int64_t batch_size) {
  Batches batches{.layout = std::move(data.layout), .checked = true};
  TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, data::from_tensors(std::move(data.columns)));
  batches.dataset = data::batch(std::move(rows), batch_size);
  return batches;
}

Status take_batch(const Network& network, std::span<const Loss* const> losses,
                  const std::map<int64_t, double>& class_weight, Batches& batches,
                  data::Element& batch) {
  if (batches.checked) return absl::OkStatus();
  const size_t inputs = network.inputs.size();
  const auto targets = static_cast<size_t>(
      std::count_if(losses.begin(), losses.end(), [](const Loss* loss) { return loss; }));
  if (batch.size() < inputs + targets) {
    return invalid_argument("an element of the dataset has ", batch.size(),
                            " tensors; the model takes ", inputs, " inputs and ", targets,
                            " targets");
  }
  const auto at = [&](size_t place) { return batch.begin() + static_cast<std::ptrdiff_t>(place); };
  Inputs x;
  x.assign(at(0), at(inputs));
  Targets y;
  y.assign(at(inputs), at(inputs + targets));
  SampleWeights weights;
  if (!losses.empty()) weights.assign(at(inputs + targets), batch.end());
  if (!class_weight.empty()) {
    if (!weights.empty()) {
      return invalid_argument("class_weight and sample_weight cannot be given together");
    }
    if (targets != 1 || y[0].rank() == 0) {
      return invalid_argument(
          "class_weight is for models with one output, whose targets have rows");
    }
    TENON_ASSIGN_OR_RETURN(Tensor by_row, weights_of_classes(y[0], class_weight));
    weights = SampleWeights(std::move(by_row));
  }
  // So that nobody else holds the tensors when the next batch is made of their memory.
  batch.clear();
  TENON_ASSIGN_OR_RETURN(TrainingColumns data, training_columns(network, losses, std::move(x),
                                                                std::move(y), std::move(weights)));
  batch = std::move(data.columns);
  batches.layout = std::move(data.layout);
  return absl::OkStatus();
}

}  // namespace tenon::keras
