#include <cmath>

#include "tests/differential/random_steps.h"

namespace tenon::differential {
namespace {

struct UnaryOpRow {
  const char* op;
  double (*bound)(double);
};

double same(double b) { return b; }
double one(double) { return 1; }

constexpr UnaryOpRow kUnary[] = {
    {"Relu", same},
    {"Relu6", [](double b) { return std::min(b, 6.0); }},
    {"Tanh", one},
    {"Sigmoid", one},
    {"Elu", [](double b) { return std::max(b, 1.0); }},
    {"Selu", [](double b) { return 1.8 * std::max(b, 1.0); }},
    {"Softplus", [](double b) { return b + 0.7; }},
    {"Softsign", one},
    {"LeakyRelu", same},
    {"Abs", same},
    {"Neg", same},
    {"Square", [](double b) { return b * b; }},
    {"Sin", one},
    {"Cos", one},
    {"Erf", one},
    {"Atan", [](double) { return 1.6; }},
    {"Identity", same},
    {"StopGradient", same},
};

// On x*x + c, which is positive.
constexpr UnaryOpRow kPositive[] = {
    {"Sqrt", same},  {"Rsqrt", [](double) { return 2.0; }},      {"Log", same},
    {"Log1p", same}, {"Reciprocal", [](double) { return 4.0; }},
};

// Not continuous: on values that are exact only.
constexpr const char* kRounding[] = {"Floor", "Ceil", "Round", "Rint", "Sign"};

template <class Row, size_t n>
const Row& row_of(Dice& dice, const Row (&rows)[n]) {
  return rows[dice.below(static_cast<int64_t>(n))];
}

bool is_float(const Value& value) { return value.dtype == DType::kFloat; }
bool is_integer(const Value& value) { return value.dtype == DType::kInt32; }

}  // namespace

bool GraphMaker::unary() {
  Value* const x = pick(is_float);
  if (!x) return false;
  Value& y = tamed(*x);
  const UnaryOpRow& row = row_of(dice_, kUnary);
  const bool moves = row.bound == same && std::string_view(row.op) != "Elu";
  keep(build_.op(row.op, {use(y)}), y.dtype, y.dims, row.bound(y.bound), y.exact && moves);
  return true;
}

bool GraphMaker::positive_unary() {
  Value* const x = pick(is_float);
  if (!x) return false;
  Value& y = tamed(*x);
  const Endpoint positive = build_.add(build_.op("Square", {use(y)}), build_.scalar<float>(0.5f));
  const UnaryOpRow& row = row_of(dice_, kPositive);
  keep(build_.op(row.op, {positive}), y.dtype, y.dims, row.bound(y.bound * y.bound + 0.5), false);
  return true;
}

bool GraphMaker::rounding() {
  Value* const x = pick([](const Value& v) { return is_float(v) && v.exact; });
  if (!x) return false;
  const char* const op = row_of(dice_, kRounding);
  keep(build_.op(op, {use(*x)}), x->dtype, x->dims, x->bound + 1, true);
  return true;
}

Value* GraphMaker::operate(const char* op, Value& a, Value& b, double bound) {
  const auto dims = broadcast(a.dims, b.dims);
  if (!dims) return nullptr;
  const bool chooses = std::string_view(op) == "Maximum" || std::string_view(op) == "Minimum";
  // One operation on exact values is rounded once, whoever does it; fused ones may not be.
  const bool exact = a.exact && b.exact && (chooses || a.dtype == DType::kInt32);
  return &keep(build_.op(op, {use(a), use(b)}), a.dtype, *dims, bound, exact);
}

// Something that broadcasts with `value`: a value that is there, or a new parameter or argument.
Value& GraphMaker::partner(const Value& value) {
  if (dice_.chance(0.5)) {
    Value* const found = pick([&](const Value& v) {
      return v.dtype == value.dtype && v.bound <= 20 && broadcast(v.dims, value.dims);
    });
    if (found) return *found;
  }
  ValueDims dims = value.dims;
  if (value.batched() && dice_.chance(0.2)) return argument(DType::kFloat, dims, 2);
  for (int64_t& dim : dims) {
    if (dim == kBatch || dice_.chance(0.25)) dim = 1;
  }
  // Fewer dimensions, or one more in front.
  const int64_t drop = dice_.chance(0.5) ? dice_.between(0, static_cast<int64_t>(dims.size())) : 0;
  dims.erase(dims.begin(), dims.begin() + drop);
  if (!value.batched() && dims.size() < 4 && dice_.chance(0.1)) dims.insert(dims.begin(), 2);
  return parameter(dims, 2);
}

bool GraphMaker::binary() {
  Value* const x = pick(is_float);
  if (!x) return false;
  Value& a = tamed(*x);
  Value& b = tamed(partner(a));
  Value &left = dice_.chance(0.3) ? b : a, &right = &left == &a ? b : a;
  switch (dice_.below(8)) {
    case 0:
      return operate("Sub", left, right, a.bound + b.bound);
    case 1:
    case 2:
      return operate("Mul", left, right, a.bound * b.bound);
    case 3:
      return operate("Maximum", left, right, std::max(a.bound, b.bound));
    case 4:
      return operate("Minimum", left, right, std::max(a.bound, b.bound));
    case 5:
      return operate("SquaredDifference", left, right, std::pow(a.bound + b.bound, 2));
    case 6: {
      const Endpoint away = build_.add(build_.op("Abs", {use(right)}), build_.scalar<float>(0.5f));
      Value& divisor = keep(away, right.dtype, right.dims, right.bound + 0.5, false);
      return operate("RealDiv", left, divisor, 2 * left.bound);
    }
    default:
      return operate("AddV2", left, right, a.bound + b.bound);
  }
}

bool GraphMaker::integer_binary() {
  Value* const a = pick([](const Value& v) { return is_integer(v) && v.bound < 1000; });
  if (!a) return false;
  Value* const other = pick([&](const Value& v) {
    return is_integer(v) && v.bound < 1000 && broadcast(v.dims, a->dims);
  });
  const int64_t kind = dice_.below(6);
  if (kind >= 4) {
    const int32_t divisor =
        static_cast<int32_t>(dice_.between(1, 4)) * (dice_.chance(0.5) ? 1 : -1);
    Value& by = keep(build_.scalar<int32_t>(divisor), DType::kInt32, {}, 4, true);
    return operate(kind == 4 ? "FloorDiv" : "FloorMod", *a, by, kind == 4 ? a->bound : 4);
  }
  static constexpr const char* kOps[] = {"AddV2", "Sub", "Mul", "Maximum"};
  return operate(kOps[kind], *a, *other,
                 kind == 2 ? a->bound * other->bound : a->bound + other->bound);
}

bool GraphMaker::compare_and_select() {
  Value* const a = pick([](const Value& v) { return v.exact && v.dtype != DType::kBool; });
  if (!a) return false;
  static constexpr const char* kOps[] = {"Less", "LessEqual", "Greater", "GreaterEqual", "Equal"};
  const Endpoint threshold =
      a->dtype == DType::kFloat ? build_.scalar<float>(0.25f) : build_.scalar<int32_t>(2);
  Value& condition =
      keep(build_.op(row_of(dice_, kOps), {use(*a), threshold}), DType::kBool, a->dims, 1, true);
  Value* const x = pick([&](const Value& v) { return is_float(v) && broadcast(v.dims, a->dims); });
  if (!x || dice_.chance(0.1)) return true;
  Value& y = partner(*x);
  const auto both = broadcast(x->dims, y.dims);
  const auto dims = both ? broadcast(*both, condition.dims) : std::nullopt;
  if (!dims) return true;
  keep(build_.op("SelectV2", {use(condition), use(*x), use(y)}), x->dtype, *dims,
       std::max(x->bound, y.bound), x->exact && y.exact);
  return true;
}

bool GraphMaker::cast() {
  Value* const x = pick([](const Value& v) { return v.exact && v.bound < 1000; });
  if (!x) return false;
  const DType to = x->dtype == DType::kFloat ? DType::kInt32 : DType::kFloat;
  keep(build_.cast(use(*x), to), to, x->dims, x->bound + 1, true);
  return true;
}

// Swish, GELU and hard sigmoid as exporters write them.
bool GraphMaker::activation_by_parts() {
  Value* const picked = pick(is_float);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const Endpoint in = use(x);
  const auto number = [&](float value) { return build_.scalar<float>(value); };
  Endpoint out;
  switch (dice_.below(3)) {
    case 0:
      out = build_.mul(in, build_.op("Sigmoid", {in}));
      break;
    case 1: {
      const Endpoint erf = build_.op("Erf", {build_.mul(in, number(0.70710678f))});
      out = build_.mul(build_.mul(number(0.5f), in), build_.add(erf, number(1)));
      break;
    }
    default:
      out = build_.div(build_.op("Relu6", {build_.add(in, number(3))}), number(6));
  }
  keep(out, x.dtype, x.dims, x.bound + 1, false);
  return true;
}

bool GraphMaker::add_many() {
  Value* const x = pick([](const Value& v) { return is_float(v) && v.bound <= 20; });
  if (!x) return false;
  std::vector<Endpoint> terms;
  for (int64_t i = dice_.between(1, 3); i >= 0; --i) {
    Value* const term = pick(
        [&](const Value& v) { return v.dtype == x->dtype && v.dims == x->dims && v.bound <= 20; });
    terms.push_back(use(*term));
  }
  keep(build_.op("AddN", terms), x->dtype, x->dims, 20.0 * static_cast<double>(terms.size()),
       false);
  return true;
}

// An op a second time, on the same inputs: for common subexpressions, and for their readers.
bool GraphMaker::again() {
  Value* const x = pick([&](const Value& v) {
    const Node& node = made_.graph.node(v.endpoint.node);
    return !node.is("_Arg") && !node.is("Const") && node.outputs.size() == 1 && is_float(v) &&
           !node.is("ReadVariableOp");
  });
  if (!x) return false;
  const Node node = made_.graph.node(x->endpoint.node);
  keep(build_.op(node.op->name(), node.inputs, node.attrs), x->dtype, x->dims, x->bound, x->exact);
  return true;
}

}  // namespace tenon::differential
