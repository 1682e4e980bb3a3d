// Pipeline: a dataset as Python describes it, made when it is read.
//
// A function that gives a dataset for each element (flat_map) is traced once: what it makes has
// tensors of the trace where values will stand, and becomes a dataset once they are known, without
// the interpreter. Pipelines are immutable; making and reading one needs no interpreter's lock.
#pragma once

#include "python/native/graph_function.h"
#include "tenon/data/graph_steps.h"

namespace tenon::python {

// The values of traced tensors, by their ids.
using KnownValues = std::map<int64_t, Tensor>;

// A tensor that a step takes: a value, or the id of one that is known later.
class Given {
 public:
  Given() = default;
  explicit Given(const Value& value)
      : tensor_(value.symbolic() ? Tensor() : value.tensor), id_(value.id) {}
  StatusOr<Tensor> value(const KnownValues& known) const;
  StatusOr<int64_t> integer(const KnownValues& known) const;

 private:
  Tensor tensor_;
  int64_t id_ = 0;
};

StatusOr<std::vector<Tensor>> values_of(const std::vector<Given>& given, const KnownValues& known);

class Pipeline {
 public:
  using Make = std::function<StatusOr<data::DatasetPtr>(const KnownValues& known)>;
  explicit Pipeline(Make make) : make_(std::move(make)) {}

  // Makes it now, for all who read it or what follows it: it depends on no traced tensor. So its
  // caches are filled once. Called before anybody else has it.
  Status settle();
  StatusOr<data::DatasetPtr> make(const KnownValues& known) const;

 private:
  Make make_;
  data::DatasetPtr settled_;  // or null
};
using PipelinePtr = std::shared_ptr<Pipeline>;

// A traced function of an element's components: what it gives is an element, or the values that
// `inner`, the dataset it returned, is waiting for.
class PipelineFunction {
 public:
  PipelineFunction(GraphFunction& function, std::vector<Given> captured, PipelinePtr inner,
                   std::vector<int64_t> ids)
      : executable_(function.shared_executable()),
        captured_(std::move(captured)),
        inner_(std::move(inner)),
        ids_(std::move(ids)) {}
  StatusOr<data::MapFunction> map(const KnownValues& known) const;
  StatusOr<data::Predicate> predicate(const KnownValues& known) const;
  StatusOr<data::LengthFunction> length(const KnownValues& known) const;
  StatusOr<data::FlatMapFunction> flat_map(const KnownValues& known) const;

 private:
  std::shared_ptr<Executable> executable_;
  std::vector<Given> captured_;
  PipelinePtr inner_;         // null: it gives elements
  std::vector<int64_t> ids_;  // of its results, as `inner` knows them
};

// The elements that a Python generator yields. `start`, called with the values of `args` for each
// pass, gives an iterator of lists of tensors. Both are called under the interpreter's lock,
// whatever thread reads; what they raise comes out of PipelineIterator::next() as it is.
PipelinePtr generator_pipeline(nb::object start, std::vector<Given> args);

void register_pipeline(nb::module_& m);
void register_pipeline_iterator(nb::module_& m);

}  // namespace tenon::python
