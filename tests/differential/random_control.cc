#include "tenon/graph/function_library.h"
#include "tests/differential/random_steps.h"

namespace tenon::differential {
namespace {

// `body` as a function of the library of `graph`, with arguments like `like`, about whose shapes it
// is told nothing: they come from the call.
StatusOr<FunctionAttr> make_function(
    const Graph& graph, std::string_view name, const std::vector<DType>& like,
    FunctionRef<std::vector<Endpoint>(GraphBuilder&, const std::vector<Endpoint>&)> body) {
  Graph function(graph.library());
  GraphBuilder build(function);
  std::vector<Endpoint> args;
  for (size_t i = 0; i < like.size(); ++i) {
    args.push_back(build.arg(cat("x_", i), like[i], PartialShape()));
  }
  function.results = body(build, args);
  for (size_t i = 0; i < function.results.size(); ++i) {
    function.result_names.push_back(cat("y_", i));
  }
  TENON_RETURN_IF_ERROR(build.status());
  const std::string own = graph.library()->unique_name(name);
  graph.library()->add(own, std::move(function));
  return FunctionAttr{own, nullptr};
}

}  // namespace

bool GraphMaker::if_else() {
  Value* const picked = pick_float(-1);
  if (!picked) return false;
  Value& x = tamed(*picked);
  // An exact sum: of integers, of an argument or of a constant, which the passes may then fold.
  Value* const integers = pick([](const Value& v) { return v.dtype == DType::kInt32; });
  const Endpoint number =
      integers ? build_.op("Max", {build_.op("Reshape", {use(*integers), build_.integers({-1})}),
                                   build_.integers({0})})
               : build_.scalar<int32_t>(static_cast<int32_t>(dice_.below(4)));
  const Endpoint condition = build_.op("Greater", {number, build_.scalar<int32_t>(2)});
  const std::vector<DType> types = {DType::kFloat};
  const bool deep = dice_.chance(0.5);
  const auto then_branch = make_function(
      made_.graph, "then", types, [&](GraphBuilder& build, const std::vector<Endpoint>& args) {
        const Endpoint scaled = build.mul(args[0], build.scalar<float>(0.5f));
        return std::vector<Endpoint>{deep ? build.op("Tanh", {build.add(scaled, args[0])})
                                          : scaled};
      });
  const auto else_branch = make_function(
      made_.graph, "else", types, [&](GraphBuilder& build, const std::vector<Endpoint>& args) {
        return std::vector<Endpoint>{dice_.chance(0.5) ? build.op("Relu", {args[0]}) : args[0]};
      });
  if (!then_branch.ok() || !else_branch.ok()) {
    build_.fail(then_branch.ok() ? else_branch.status() : then_branch.status());
    return false;
  }
  const Endpoint out = build_.op(dice_.chance(0.5) ? "If" : "StatelessIf", {condition, use(x)},
                                 {{"then_branch", *then_branch},
                                  {"else_branch", *else_branch},
                                  {"Tin", types},
                                  {"Tout", types}});
  keep(out, x.dtype, x.dims, std::max(1.0, x.bound), false);
  return true;
}

// A recurrence: x = tanh(x * w + b), a few times over.
bool GraphMaker::while_loop() {
  Value* const picked = pick_float(2);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const int64_t width = x.dims[1];
  Value& weights = parameter({width, width}, 1 / static_cast<double>(width));
  const std::vector<DType> types = {DType::kInt32, DType::kFloat, DType::kFloat};
  const int32_t times = static_cast<int32_t>(dice_.between(0, 4));
  const auto condition = make_function(
      made_.graph, "cond", types, [&](GraphBuilder& build, const std::vector<Endpoint>& args) {
        return std::vector<Endpoint>{build.op("Less", {args[0], build.scalar<int32_t>(times)})};
      });
  const auto body = make_function(
      made_.graph, "body", types, [&](GraphBuilder& build, const std::vector<Endpoint>& args) {
        const Endpoint sums = build.add(build.matmul(args[1], args[2]), build.scalar<float>(0.1f));
        return std::vector<Endpoint>{build.add(args[0], build.scalar<int32_t>(1)),
                                     build.op("Tanh", {sums}), args[2]};
      });
  if (!condition.ok() || !body.ok()) {
    build_.fail(condition.ok() ? body.status() : condition.status());
    return false;
  }
  const auto outputs = build_.ops(dice_.chance(0.5) ? "While" : "StatelessWhile",
                                  {build_.scalar<int32_t>(0), use(x), use(weights)},
                                  {{"cond", *condition}, {"body", *body}, {"T", types}});
  keep(outputs[1], x.dtype, x.dims, std::max(1.0, x.bound), false);
  return true;
}

}  // namespace tenon::differential
