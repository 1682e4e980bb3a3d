// Recurrent layers. Their states are variables of the model, which a run leaves for the next.
#include "tenon/lite/constants.h"
#include "tenon/lite/svdf.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

// How floats that meet weights of 8 bits are rounded (RowRounding of ops/tflite/row_levels.h).
// Here weights are reals already; their type in the file tells.
template <class Options>
int64_t rounding_of(OperatorContext& c, int weights) {
  const bool in_floats =
      dtype_of_tensor(c.in_info(weights).type).value_or(DType::kFloat) == DType::kFloat;
  if (in_floats || c.in_info(0).type != tensor_type_of(DType::kFloat)) return 0;
  return c.options<Options>().asymmetric_quantize_inputs() ? 2 : 1;
}

// Where one direction's inputs stand in an operator's list.
struct LstmInputs {
  int weights;  // 4 of the input, 4 recurrent, 3 peepholes, 4 biases, 2 of the projection
  int output_state;
  int cell_state;
  int normalisations;  // 4, or -1
};

struct LstmSettings {
  int activation;
  float cell_clip, projection_clip;
  bool time_major, reverse;
  int64_t rounding;
};

Endpoint lstm(OperatorContext& c, Endpoint x, const LstmInputs& at, const LstmSettings& settings) {
  std::vector<Endpoint> inputs = {x, c.in(at.output_state), c.in(at.cell_state)};
  std::vector<bool> present;
  const auto take = [&](int i) {
    present.push_back(i >= 0 && c.has_input(i));
    if (present.back()) inputs.push_back(c.in(i));
  };
  for (int i = 0; i < 17; ++i) take(at.weights + i);
  for (int i = 0; i < 4; ++i) take(at.normalisations < 0 ? -1 : at.normalisations + i);
  const auto outputs = c.b.ops("_LiteLstm", std::move(inputs),
                               {{"present", std::move(present)},
                                {"activation", int64_t{settings.activation}},
                                {"cell_clip", settings.cell_clip},
                                {"projection_clip", settings.projection_clip},
                                {"time_major", settings.time_major},
                                {"reverse", settings.reverse},
                                {"rounding", settings.rounding}});
  if (outputs.size() != 3) return {};
  c.assign(at.output_state, outputs[1]);
  c.assign(at.cell_state, outputs[2]);
  return outputs[0];
}

void sequence_lstm(OperatorContext& c) {
  const auto& o = c.options<schema::UnidirectionalSequenceLSTMOptions>();
  if (o.diagonal_recurrent_tensors()) return c.fail(unimplemented("diagonal recurrent weights"));
  c.set(0, lstm(c, c.in(0), {1, 18, 19, 20},
                {o.fused_activation_function(), o.cell_clip(), o.proj_clip(), o.time_major(), false,
                 rounding_of<schema::UnidirectionalSequenceLSTMOptions>(c, 2)}));
}

// One step.
void single_lstm(OperatorContext& c) {
  const auto& o = c.options<schema::LSTMOptions>();
  if (o.kernel_type() != 0) return c.fail(unimplemented("the basic kernel of LSTM"));
  const Endpoint steps = c.b.op("ExpandDims", {c.in(0), c.b.scalar<int32_t>(0)});
  const Endpoint y = lstm(c, steps, {1, 18, 19, 20},
                          {o.fused_activation_function(), o.cell_clip(), o.proj_clip(), true, false,
                           rounding_of<schema::LSTMOptions>(c, 2)});
  c.set(0, c.b.op("Squeeze", {y}, {{"squeeze_dims", std::vector<int64_t>{0}}}));
}

// Forward's outputs and backward's, apart or joined.
void set_directions(OperatorContext& c, Endpoint forward, Endpoint backward, bool merge) {
  if (!merge) {
    c.set(0, forward);
    return c.set(1, backward);
  }
  c.set(0, c.b.concat({forward, backward}, 2));
}

void bidirectional_lstm(OperatorContext& c) {
  const auto& o = c.options<schema::BidirectionalSequenceLSTMOptions>();
  for (int i = 39; i < 48; ++i) {
    if (c.has_input(i)) return c.fail(unimplemented("an auxiliary input"));
  }
  const auto settings = [&](bool reverse) {
    return LstmSettings{o.fused_activation_function(),
                        o.cell_clip(),
                        o.proj_clip(),
                        o.time_major(),
                        reverse,
                        rounding_of<schema::BidirectionalSequenceLSTMOptions>(c, 2)};
  };
  const Endpoint forward = lstm(c, c.in(0), {1, 35, 36, -1}, settings(false));
  const Endpoint backward = lstm(c, c.in(0), {18, 37, 38, -1}, settings(true));
  set_directions(c, forward, backward, o.merge_outputs());
}

// Weights, recurrent weights, bias and state at `first`.
template <class Options>
Endpoint rnn(OperatorContext& c, Endpoint x, int first, int state, bool time_major, bool reverse) {
  const int activation = c.options<Options>().fused_activation_function();
  const auto outputs =
      c.b.ops("_LiteRnn", {x, c.in(state), c.in(first), c.in(first + 1), c.in(first + 2)},
              {{"activation", int64_t{activation}},
               {"time_major", time_major},
               {"reverse", reverse},
               {"rounding", rounding_of<Options>(c, first)}});
  if (outputs.size() != 2) return {};
  c.assign(state, outputs[1]);
  return outputs[0];
}

void single_rnn(OperatorContext& c) {
  const Endpoint steps = c.b.op("ExpandDims", {c.in(0), c.b.scalar<int32_t>(0)});
  const Endpoint y = rnn<schema::RNNOptions>(c, steps, 1, 4, true, false);
  c.set(0, c.b.op("Squeeze", {y}, {{"squeeze_dims", std::vector<int64_t>{0}}}));
}

void sequence_rnn(OperatorContext& c) {
  const auto& o = c.options<schema::SequenceRNNOptions>();
  c.set(0, rnn<schema::SequenceRNNOptions>(c, c.in(0), 1, 4, o.time_major(), false));
}

void bidirectional_rnn(OperatorContext& c) {
  const auto& o = c.options<schema::BidirectionalSequenceRNNOptions>();
  for (int i = 9; i < 12; ++i) {
    if (c.has_input(i)) return c.fail(unimplemented("an auxiliary input"));
  }
  using Options = schema::BidirectionalSequenceRNNOptions;
  const Endpoint forward = rnn<Options>(c, c.in(0), 1, 4, o.time_major(), false);
  const Endpoint backward = rnn<Options>(c, c.in(0), 5, 8, o.time_major(), true);
  set_directions(c, forward, backward, o.merge_outputs());
}

// A filter of rank 1s: each of units * rank features is a product with the input, whose last
// `memory` values are weighed and added up. The state [batch, features * memory] keeps them.
void svdf(OperatorContext& c) {
  const SvdfForm form = svdf_form(c);
  const Endpoint now = c.b.matmul(c.in(0), c.in(1), false, true);  // [batch, filters]
  const Endpoint kept = svdf_remember(c, form, now);
  Endpoint y = svdf_sum(c, form, c.b.mul(kept, c.in(2)));
  if (c.has_input(3)) y = c.b.op("BiasAdd", {y, c.in(3)});
  c.set_activated(y, c.options<schema::SVDFOptions>().fused_activation_function());
}

}  // namespace

SvdfForm svdf_form(OperatorContext& c) {
  const int64_t rank = c.options<schema::SVDFOptions>().rank();
  const PartialShape features = c.in_shape(1), time = c.in_shape(2), state = c.in_shape(4);
  if (!features.is_fully_known() || !time.is_fully_known() || !state.is_fully_known() ||
      features.rank() != 2 || time.rank() != 2 || state.rank() != 2 || rank < 1 ||
      features[0] != time[0] || state[1] != time[0] * time[1] || time[0] % rank != 0) {
    c.fail(invalid_argument("weights of shapes ", features, " and ", time, ", a state of ", state,
                            " and rank ", rank));
    return {1, 1, 1};
  }
  return {time[0], time[1], rank};
}

Endpoint svdf_remember(OperatorContext& c, const SvdfForm& form, Endpoint now) {
  const int64_t cube[] = {-1, form.filters, form.memory};
  const Endpoint old = c.b.op("Slice", {c.b.reshape(c.in(4), cube), c.b.integers({0, 0, 1}),
                                        c.b.integers({-1, -1, form.memory - 1})});
  const Endpoint newest = c.b.op("ExpandDims", {now, c.b.scalar<int32_t>(2)});
  const Endpoint kept = c.b.concat({old, newest}, 2);
  const int64_t flat[] = {-1, form.filters * form.memory};
  c.assign(4, c.b.reshape(kept, flat));
  return kept;
}

Endpoint svdf_sum(OperatorContext& c, const SvdfForm& form, Endpoint products) {
  const int64_t axis[] = {2};
  const int64_t units[] = {-1, form.filters / form.rank, form.rank};
  return c.b.sum(c.b.reshape(c.b.sum(products, axis), units), axis);
}

TENON_LITE_OPERATOR(BIDIRECTIONAL_SEQUENCE_LSTM, bidirectional_lstm)
TENON_LITE_OPERATOR(BIDIRECTIONAL_SEQUENCE_RNN, bidirectional_rnn)
TENON_LITE_OPERATOR(LSTM, single_lstm)
TENON_LITE_OPERATOR(RNN, single_rnn)
TENON_LITE_OPERATOR(SVDF, svdf)
TENON_LITE_OPERATOR(UNIDIRECTIONAL_SEQUENCE_LSTM, sequence_lstm)
TENON_LITE_OPERATOR(UNIDIRECTIONAL_SEQUENCE_RNN, sequence_rnn)

}  // namespace tenon::lite
