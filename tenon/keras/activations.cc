#include <numbers>
#include <numeric>

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

// `there` where `x` is above `threshold`, otherwise `elsewhere`.
Endpoint where_above(GraphBuilder& g, Endpoint x, double threshold, Endpoint there,
                     Endpoint elsewhere) {
  return g.op("SelectV2", {g.op("Greater", {x, number(g, x, threshold)}), there, elsewhere});
}

Endpoint celu(GraphBuilder& g, Endpoint x) {
  const Endpoint zero = number(g, x, 0);
  return g.add(g.op("Maximum", {x, zero}), g.op("Expm1", {g.op("Minimum", {x, zero})}));
}

Endpoint glu(GraphBuilder& g, Endpoint x) {
  const std::vector<Endpoint> halves =
      g.ops("Split", {g.scalar<int32_t>(-1), x}, {{"num_split", int64_t{2}}});
  return g.status().ok() ? g.mul(halves[0], g.op("Sigmoid", {halves[1]})) : Endpoint();
}

Endpoint soft_shrink(GraphBuilder& g, Endpoint x) {
  const Endpoint half = number(g, x, 0.5);
  const Endpoint below = where_above(g, g.neg(x), 0.5, g.add(x, half), g.zeros_like(x));
  return where_above(g, x, 0.5, g.sub(x, half), below);
}

Endpoint sparse_plus(GraphBuilder& g, Endpoint x) {
  const Endpoint curve = g.mul(number(g, x, 0.25), g.op("Square", {g.add(x, number(g, x, 1))}));
  const Endpoint inner = g.op("SelectV2", {g.op("Less", {x, number(g, x, 1)}), curve, x});
  return where_above(g, x, -1, inner, g.zeros_like(x));
}

Endpoint clipped(GraphBuilder& g, Endpoint x, double low, double high) {
  return g.op("Minimum", {g.op("Maximum", {x, number(g, x, low)}), number(g, x, high)});
}

// The nearest point of the simplex (Martins and Astudillo, 2016).
Endpoint sparsemax(GraphBuilder& g, Endpoint x) {
  if (!g.status().ok()) return {};
  const int rank = g.shape(x).rank();
  const int64_t size = rank > 0 ? g.shape(x)[rank - 1] : -1;
  if (size < 1) {
    g.fail(unimplemented("sparsemax of ", g.shape(x), ": the last dimension must be known"));
    return {};
  }
  constexpr int64_t kLast[] = {-1};
  std::vector<int64_t> counts(static_cast<size_t>(size));
  std::iota(counts.begin(), counts.end(), int64_t{1});
  const Endpoint one = number(g, x, 1), zero = number(g, x, 0);
  const Endpoint sorted = g.op("TopKV2", {x, g.scalar(static_cast<int32_t>(size))});
  const Endpoint sums = g.op("Cumsum", {sorted, g.scalar<int32_t>(-1)});
  const Endpoint means = g.div(g.sub(sums, one), g.cast(g.integers(counts), g.dtype(x)));
  const Endpoint support = g.op("Greater", {g.sub(sorted, means), zero});
  const Endpoint k = g.sum(g.cast(support, g.dtype(x)), kLast, true);
  // Keras adds all partial sums of the support, where the paper takes the last one.
  const Endpoint total = g.sum(g.op("SelectV2", {support, sums, zero}), kLast, true);
  return g.op("Maximum", {g.sub(x, g.div(g.sub(total, one), k)), zero});
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
    {"celu", celu},
    {"glu", glu},
    {"hard_shrink",
     [](GraphBuilder& g, Endpoint x) {
       return where_above(g, g.op("Abs", {x}), 0.5, x, g.zeros_like(x));
     }},
    {"hard_tanh", [](GraphBuilder& g, Endpoint x) { return clipped(g, x, -1, 1); }},
    {"log_sigmoid",
     [](GraphBuilder& g, Endpoint x) { return g.neg(g.op("Softplus", {g.neg(x)})); }},
    {"mish",
     [](GraphBuilder& g, Endpoint x) { return g.mul(x, g.op("Tanh", {g.op("Softplus", {x})})); }},
    {"soft_shrink", soft_shrink},
    {"sparse_plus", sparse_plus},
    {"sparse_sigmoid",
     [](GraphBuilder& g, Endpoint x) {
       return clipped(g, g.mul(number(g, x, 0.5), g.add(x, number(g, x, 1))), 0, 1);
     }},
    {"sparsemax", sparsemax},
    {"squareplus",
     [](GraphBuilder& g, Endpoint x) {
       const Endpoint root = g.op("Sqrt", {g.add(g.op("Square", {x}), number(g, x, 4))});
       return g.div(g.add(x, root), number(g, x, 2));
     }},
    {"tanh_shrink", [](GraphBuilder& g, Endpoint x) { return g.sub(x, g.op("Tanh", {x})); }},
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
