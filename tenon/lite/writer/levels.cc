#include "tenon/lite/writer/levels.h"

#include <set>

#include "tenon/lite/constants.h"
#include "tenon/lite/writer/level_rules.h"
#include "tenon/lite/writer/weights.h"

namespace tenon::lite {
namespace {

constexpr int kFloatType = 0;  // TensorType

struct Range {
  double low = 0, high = 0;  // 0 is always a level
  void take(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool is_float(const schema::TensorT& tensor) { return tensor.type == kFloatType; }

// The result of an operator: in floats and in levels.
struct QuantizedResult {
  int float_tensor, level_tensor;
  size_t loss;                // its place among the report's rows
  std::vector<int> operands;  // in floats
};

class LevelsWriter {
 public:
  LevelsWriter(LiteModel& model, int index, bool wide, std::map<int, Range> ranges)
      : model_(model),
        graph_(model.subgraph(index)),
        index_(index),
        wide_(wide),
        ranges_(std::move(ranges)) {}

  void run(std::vector<LayerLoss>& losses) {
    auto operators = std::move(graph_.operators);
    graph_.operators.clear();
    for (int input : graph_.inputs) floats_[input] = input;
    for (auto& op : operators) {
      if (!write_levels(*op, losses)) write_floats(*op);
    }
    for (int& output : graph_.outputs) output = as_floats(output);
    for (auto& def : model_.model().signature_defs) {
      if (static_cast<int>(def->subgraph_index) != index_) continue;
      for (auto& map : def->outputs) {
        map->tensor_index = static_cast<uint32_t>(as_floats(static_cast<int>(map->tensor_index)));
      }
    }
  }

  const std::vector<QuantizedResult>& results() const { return results_; }

 private:
  const schema::TensorT& tensor(int index) const {
    return *graph_.tensors[static_cast<size_t>(index)];
  }
  bool is_activation(int index) const { return index >= 0 && is_float(tensor(index)); }

  Levels levels_of(const Range& range) const {
    Levels levels;
    if (wide_) {
      const double largest = std::max(-range.low, range.high);
      levels.scale = largest > 0 ? static_cast<float>(largest / 32767) : 1.0F / 32768;
      return levels;
    }
    // Zeros alone: kernels want factors between scales below 1, so that theirs is not a large one.
    if (range.high <= range.low) return {1.0F / 255, -128};
    levels.scale = static_cast<float>((range.high - range.low) / 255);
    levels.zero_point = static_cast<int64_t>(
        std::clamp(std::round(-128 - range.low / levels.scale), -128.0, 127.0));
    return levels;
  }

  int add_level_tensor(int like, const Levels& levels, const char* suffix = "") {
    auto made = std::make_unique<schema::TensorT>(tensor(like));
    made->name += suffix;
    made->type = static_cast<int8_t>(tensor_type_of(wide_ ? DType::kInt16 : DType::kInt8));
    made->buffer = 0;
    made->quantization = std::make_unique<schema::QuantizationParametersT>();
    made->quantization->scale = {levels.scale};
    made->quantization->zero_point = {levels.zero_point};
    graph_.tensors.push_back(std::move(made));
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  Levels levels_of_tensor(int index) const {
    const auto& quantization = *tensor(index).quantization;
    return {quantization.scale[0], quantization.zero_point[0]};
  }

  void emit(int builtin, int input, int output) {
    graph_.operators.push_back(model_.make_operator(builtin, {input}, {output}));
  }

  // A constant in the activations' levels.
  int constant_levels(int index, const Levels* wanted) {
    const std::vector<float> values = floats_of(model_, tensor(index));
    Range range;
    for (float value : values) range.take(value);
    const Levels levels = wanted ? *wanted : levels_of(range);
    const int made = add_level_tensor(index, levels);
    const double low = wide_ ? -32767 : -128, high = wide_ ? 32767 : 127;
    std::string bytes;
    for (float value : values) {
      const double real = std::round(value / levels.scale) + static_cast<double>(levels.zero_point);
      const auto level = static_cast<int16_t>(std::clamp(real, low, high));
      bytes.append(reinterpret_cast<const char*>(&level), wide_ ? 2 : 1);  // little-endian
    }
    graph_.tensors[static_cast<size_t>(made)]->buffer = model_.add_buffer(bytes);
    return made;
  }

  // The tensor in levels: in those that are `wanted`, where there are any.
  int as_levels(int index, const Levels* wanted = nullptr) {
    if (is_constant(tensor(index))) return constant_levels(index, wanted);
    const auto it = levels_.find(index);
    int made = it == levels_.end() ? -1 : it->second;
    if (made < 0) {
      made = levels_[index] = add_level_tensor(index, levels_of(ranges_[index]), "/levels");
      emit(op::QUANTIZE, as_floats(index), made);
    }
    if (!wanted || levels_of_tensor(made) == *wanted) return made;
    const int other = add_level_tensor(index, *wanted, "/requantised");
    emit(op::QUANTIZE, made, other);
    return other;
  }

  int as_floats(int index) {
    if (index < 0 || !is_float(tensor(index)) || is_constant(tensor(index))) return index;
    const auto it = floats_.find(index);
    if (it != floats_.end()) return it->second;
    const auto levels = levels_.find(index);
    if (levels == levels_.end()) return index;  // what operators on floats made
    emit(op::DEQUANTIZE, levels->second, index);
    return floats_[index] = index;
  }

  void write_floats(schema::OperatorT& op) {
    for (int& input : op.inputs) input = as_floats(input);
    for (int output : op.outputs) floats_[output] = output;
    graph_.operators.push_back(std::make_unique<schema::OperatorT>(op));
  }

  // False where the operator stays one on floats.
  bool write_levels(schema::OperatorT& op, std::vector<LayerLoss>& losses) {
    const LevelRule* rule = find_level_rule(model_.builtin(op));
    if (!rule || (wide_ && !rule->wide) || !is_activation(op.outputs[0])) return false;
    const int data = op.inputs[static_cast<size_t>(rule->data)];
    if (!is_activation(data)) return false;
    const bool product = rule->kind == LevelRule::kProduct;
    if (product && !is_constant(tensor(op.inputs[1]))) return false;
    if (product && op.inputs.size() > 2 && rule->data != 2 && !is_constant(tensor(op.inputs[2]))) {
      return false;
    }
    auto made = std::make_unique<schema::OperatorT>(op);
    if (product) {
      made->inputs[static_cast<size_t>(rule->data)] = as_levels(data);
      write_weights(*made, *rule);
    } else if (rule->kind == LevelRule::kJoined) {
      const Levels levels = levels_of(ranges_[op.outputs[0]]);
      for (int& input : made->inputs) {
        if (is_activation(input)) input = as_levels(input, &levels);
      }
    } else {
      for (int& input : made->inputs) {
        if (is_activation(input)) input = as_levels(input);
      }
    }
    for (int& output : made->outputs) {
      if (!is_activation(output)) continue;
      Levels levels = levels_of(ranges_[output]);
      if (rule->kind == LevelRule::kSame) {
        levels = levels_of_tensor(made->inputs[static_cast<size_t>(rule->data)]);
      }
      if (rule->kind == LevelRule::kFixed) levels = wide_ ? rule->fixed_wide : rule->fixed;
      const int given = output;
      output = levels_[given] = add_level_tensor(given, levels);
      results_.push_back({given, output, losses.size(), op.inputs});
      losses.push_back({tensor(given).name, operator_name({model_.builtin(op), {}, 1}), 0, 0, 0});
    }
    if (auto* options = made->builtin_options.AsAddOptions()) options->pot_scale_int16 = false;
    if (auto* options = made->builtin_options.AsSubOptions()) options->pot_scale_int16 = false;
    graph_.operators.push_back(std::move(made));
    return true;
  }

  // Weights by channel, and the bias in the levels of the sums: input scale times weight scale.
  void write_weights(schema::OperatorT& op, const LevelRule& rule) {
    const int axis = channel_axis(model_.builtin(op));
    const float input_scale = levels_of_tensor(op.inputs[static_cast<size_t>(rule.data)]).scale;
    const int bias = op.inputs.size() > 2 && rule.data != 2 ? op.inputs[2] : -1;
    std::vector<float> scales = largest_magnitudes(model_, tensor(op.inputs[1]), axis);
    const std::vector<float> biases =
        bias < 0 ? std::vector<float>() : floats_of(model_, tensor(bias));
    for (size_t i = 0; i < scales.size(); ++i) {
      scales[i] = scales[i] > 0 ? scales[i] / 127 : 1;
      // The bias takes at most half of what 32 bits hold.
      if (!biases.empty() && !wide_) {
        scales[i] = std::max(scales[i], std::abs(biases[i]) / input_scale / 0x1p30F);
      }
    }
    auto weights = std::make_unique<schema::TensorT>(tensor(op.inputs[1]));
    set_int8_levels(model_, *weights, scales, axis);
    graph_.tensors.push_back(std::move(weights));
    op.inputs[1] = static_cast<int>(graph_.tensors.size()) - 1;
    if (bias < 0) return;
    auto sums = std::make_unique<schema::TensorT>(tensor(bias));
    sums->type = static_cast<int8_t>(tensor_type_of(wide_ ? DType::kInt64 : DType::kInt32));
    sums->quantization = std::make_unique<schema::QuantizationParametersT>();
    std::string bytes;
    for (size_t i = 0; i < biases.size(); ++i) {
      const float scale = input_scale * scales[i];
      const auto level = static_cast<int64_t>(std::llround(double{biases[i]} / scale));
      bytes.append(reinterpret_cast<const char*>(&level), wide_ ? 8 : 4);  // little-endian
      sums->quantization->scale.push_back(scale);
      sums->quantization->zero_point.push_back(0);
    }
    sums->buffer = model_.add_buffer(bytes);
    graph_.tensors.push_back(std::move(sums));
    op.inputs[2] = static_cast<int>(graph_.tensors.size()) - 1;
  }

  LiteModel& model_;
  schema::SubGraphT& graph_;
  const int index_;
  const bool wide_;
  std::map<int, Range> ranges_;
  std::map<int, int> levels_, floats_;  // by the tensor of before
  std::vector<QuantizedResult> results_;
};

// Float tensors that the subgraph takes or computes.
std::vector<int> activations_of(const schema::SubGraphT& graph) {
  std::set<int> found;
  for (int input : graph.inputs) {
    if (is_float(*graph.tensors[static_cast<size_t>(input)])) found.insert(input);
  }
  for (const auto& op : graph.operators) {
    for (int output : op->outputs) {
      if (is_float(*graph.tensors[static_cast<size_t>(output)])) found.insert(output);
    }
  }
  return {found.begin(), found.end()};
}

StatusOr<std::map<int, Range>> find_ranges(const LiteModel& model, int index, NamedArrays arrays) {
  const std::vector<int> tensors =
      activations_of(*model.model().subgraphs[static_cast<size_t>(index)]);
  TENON_ASSIGN_OR_RETURN(Recorder recorder, Recorder::create(model, index, tensors, arrays));
  std::map<int, Range> ranges;
  std::vector<Tensor> values;
  for (int batch = 0; batch < recorder.num_batches(); ++batch) {
    TENON_RETURN_IF_ERROR(recorder.run(batch, values));
    for (size_t i = 0; i < tensors.size(); ++i) {
      Range& range = ranges[tensors[i]];
      for (float value : values[i].span<float>()) range.take(value);
    }
  }
  return ranges;
}

double real_at(const Tensor& levels, const Levels& scale, int64_t i) {
  const int64_t level =
      levels.dtype() == DType::kInt8 ? levels.data<int8_t>()[i] : levels.data<int16_t>()[i];
  return static_cast<double>(level - scale.zero_point) * double{scale.scale};
}

// Runs both models over the data and fills the rows of `losses` in.
Status compare(const LiteModel& floats, const LiteModel& levels, int index, NamedArrays arrays,
               std::span<const QuantizedResult> results, std::vector<LayerLoss>& losses) {
  std::vector<int> float_tensors, level_tensors;
  for (const QuantizedResult& result : results) {
    float_tensors.push_back(result.float_tensor);
    level_tensors.push_back(result.level_tensor);
  }
  if (results.empty()) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(Recorder before, Recorder::create(floats, index, float_tensors, arrays));
  TENON_ASSIGN_OR_RETURN(Recorder after, Recorder::create(levels, index, level_tensors, arrays));
  std::vector<double> squares(results.size()), differences(results.size());
  std::vector<Tensor> wanted, got;
  for (int batch = 0; batch < before.num_batches(); ++batch) {
    TENON_RETURN_IF_ERROR(before.run(batch, wanted));
    TENON_RETURN_IF_ERROR(after.run(batch, got));
    for (size_t r = 0; r < results.size(); ++r) {
      const auto& given = *levels.model()
                               .subgraphs[static_cast<size_t>(index)]
                               ->tensors[static_cast<size_t>(level_tensors[r])]
                               ->quantization;
      const Levels scale{given.scale[0], given.zero_point[0]};
      LayerLoss& loss = losses[results[r].loss];
      for (int64_t i = 0; i < wanted[r].num_elements(); ++i) {
        const double value = wanted[r].data<float>()[i];
        const double off = real_at(got[r], scale, i) - value;
        squares[r] += value * value;
        differences[r] += off * off;
        loss.range = std::max(loss.range, std::abs(value));
      }
    }
  }
  std::map<int, double> errors;  // by float tensor
  for (size_t r = 0; r < results.size(); ++r) {
    LayerLoss& loss = losses[results[r].loss];
    loss.error = squares[r] > 0 ? std::sqrt(differences[r] / squares[r]) : 0;
    double before_it = 0;
    for (int operand : results[r].operands) {
      const auto it = errors.find(operand);
      if (it != errors.end()) before_it = std::max(before_it, it->second);
    }
    loss.added = loss.error - before_it;
    errors[results[r].float_tensor] = loss.error;
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<LayerLoss>> quantize(LiteModel& model, bool wide, NamedArrays representative) {
  const LiteModel floats = model;
  std::vector<LayerLoss> losses;
  for (int index = 0; index < model.num_subgraphs(); ++index) {
    TENON_ASSIGN_OR_RETURN(auto ranges, find_ranges(floats, index, representative));
    LevelsWriter writer(model, index, wide, std::move(ranges));
    writer.run(losses);
    TENON_RETURN_IF_ERROR(compare(floats, model, index, representative, writer.results(), losses));
    model.drop_unused_tensors(index);
  }
  return losses;
}

}  // namespace tenon::lite
