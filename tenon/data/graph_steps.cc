#include "tenon/data/graph_steps.h"

namespace tenon::data {

namespace {

using ScalarFunction = std::function<StatusOr<Tensor>(const Element& element)>;

// A function whose only result is a scalar; `what` it is called in messages.
ScalarFunction scalar_by_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured,
                               std::string_view what) {
  return [run = run_graph(std::move(function), std::move(captured)),
          what](const Element& element) -> StatusOr<Tensor> {
    TENON_ASSIGN_OR_RETURN(const Element results, run(element));
    if (results.size() != 1) {
      return invalid_argument(what, " gives a scalar; this one gave ", results.size(), " results");
    }
    if (results[0].rank() != 0) {
      return invalid_argument(what, " gives a scalar; this one gave ", results[0].dtype(),
                              results[0].shape());
    }
    return results[0];
  };
}

}  // namespace

MapFunction run_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured) {
  return [function = std::move(function),
          captured = std::move(captured)](Element element) -> StatusOr<Element> {
    element.insert(element.end(), captured.begin(), captured.end());
    Element results;
    TENON_RETURN_IF_ERROR(function->run(element, results));
    return results;
  };
}

Predicate test_by_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured) {
  return [test = scalar_by_graph(std::move(function), std::move(captured), "a predicate")](
             const Element& element) -> StatusOr<bool> {
    TENON_ASSIGN_OR_RETURN(const Tensor result, test(element));
    if (result.dtype() == DType::kBool) return *result.data<bool>();
    return invalid_argument("a predicate gives bool; this one gave ", result.dtype());
  };
}

LengthFunction measure_by_graph(std::shared_ptr<Executable> function,
                                std::vector<Tensor> captured) {
  return [measure = scalar_by_graph(std::move(function), std::move(captured), "a length")](
             const Element& element) -> StatusOr<int64_t> {
    TENON_ASSIGN_OR_RETURN(const Tensor result, measure(element));
    if (result.dtype() == DType::kInt32 || result.dtype() == DType::kInt64) {
      return integer_at(result, 0);
    }
    return invalid_argument("a length is int32 or int64; this one is ", result.dtype());
  };
}

}  // namespace tenon::data
