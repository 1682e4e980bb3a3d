#include <numbers>

#include "tenon/keras/layer.h"

namespace tenon::keras {

namespace {

struct ActivationRow {
  std::string_view name;
  Endpoint (*apply)(GraphBuilder& g, Endpoint x);
};

Endpoint number(GraphBuilder& g, Endpoint like, double value) {
  return g.scalar_of(g.dtype(like), value);
}

Endpoint hard_sigmoid(GraphBuilder& g, Endpoint x) {
  // relu6(x + 3) / 6
  return g.mul(g.op("Relu6", {g.add(x, number(g, x, 3))}), number(g, x, 1.0 / 6));
}

Endpoint gelu(GraphBuilder& g, Endpoint x) {
  const Endpoint erf = g.op("Erf", {g.div(x, number(g, x, std::numbers::sqrt2))});
  return g.mul(g.mul(number(g, x, 0.5), x), g.add(number(g, x, 1), erf));
}

// keras/src/activations. Keras' gelu is the erf form (approximate=False).
constexpr ActivationRow kActivations[] = {
    {"linear", [](GraphBuilder&, Endpoint x) { return x; }},
    {"relu", [](GraphBuilder& g, Endpoint x) { return g.op("Relu", {x}); }},
    {"relu6", [](GraphBuilder& g, Endpoint x) { return g.op("Relu6", {x}); }},
    {"leaky_relu",
     [](GraphBuilder& g, Endpoint x) {
       return g.op("LeakyRelu", {x}, {{"alpha", 0.2f}});
     }},
    {"sigmoid", [](GraphBuilder& g, Endpoint x) { return g.op("Sigmoid", {x}); }},
    {"softmax", [](GraphBuilder& g, Endpoint x) { return g.op("Softmax", {x}); }},
    {"log_softmax", [](GraphBuilder& g, Endpoint x) { return g.op("LogSoftmax", {x}); }},
    {"softplus", [](GraphBuilder& g, Endpoint x) { return g.op("Softplus", {x}); }},
    {"softsign", [](GraphBuilder& g, Endpoint x) { return g.op("Softsign", {x}); }},
    {"tanh", [](GraphBuilder& g, Endpoint x) { return g.op("Tanh", {x}); }},
    {"elu", [](GraphBuilder& g, Endpoint x) { return g.op("Elu", {x}); }},
    {"selu", [](GraphBuilder& g, Endpoint x) { return g.op("Selu", {x}); }},
    {"exponential", [](GraphBuilder& g, Endpoint x) { return g.op("Exp", {x}); }},
    {"silu", [](GraphBuilder& g, Endpoint x) { return g.mul(x, g.op("Sigmoid", {x})); }},
    {"swish", [](GraphBuilder& g, Endpoint x) { return g.mul(x, g.op("Sigmoid", {x})); }},
    {"hard_sigmoid", hard_sigmoid},
    {"hard_swish", [](GraphBuilder& g, Endpoint x) { return g.mul(x, hard_sigmoid(g, x)); }},
    {"hard_silu", [](GraphBuilder& g, Endpoint x) { return g.mul(x, hard_sigmoid(g, x)); }},
    {"gelu", gelu},
};

}  // namespace

Endpoint activate(GraphBuilder& build, std::string_view activation, Endpoint x) {
  for (const ActivationRow& row : kActivations) {
    if (row.name == activation) return row.apply(build, x);
  }
  std::vector<std::string_view> names;
  for (const ActivationRow& row : kActivations) names.push_back(row.name);
  build.fail(
      unimplemented("activation '", activation, "' is not known; there are ", join(names, ", ")));
  return {};
}

}  // namespace tenon::keras
