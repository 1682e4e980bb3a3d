// Functions of the graph as the functions of steps: what map(), filter(), take_while() and
// bucket_by_length() take.
#pragma once

#include "tenon/data/transforms.h"
#include "tenon/runtime/executable.h"

namespace tenon::data {

// Runs `function` on an element's components and then on `captured`. Its results are the new
// element.
MapFunction run_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured);

// As run_graph(), for a function whose only result is a scalar of bool; INVALID_ARGUMENT when an
// element gives something else.
Predicate test_by_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured);

// As test_by_graph(), for a scalar of int32 or int64.
LengthFunction measure_by_graph(std::shared_ptr<Executable> function, std::vector<Tensor> captured);

}  // namespace tenon::data
