#include "python/native/pipeline.h"

#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "tenon/data/dataset_value.h"
#include "tenon/data/sources.h"

namespace tenon::python {

StatusOr<Tensor> Given::value(const KnownValues& known) const {
  if (tensor_.has_value()) return tensor_;
  const auto found = known.find(id_);
  if (found == known.end()) {
    return failed_precondition(
        "the dataset depends on a tensor of a function that is being traced, whose value is not "
        "known here");
  }
  return found->second;
}

StatusOr<int64_t> Given::integer(const KnownValues& known) const {
  TENON_ASSIGN_OR_RETURN(const Tensor tensor, value(known));
  if (tensor.dtype() != DType::kInt64 || tensor.rank() != 0) {
    return invalid_argument("a step takes an int64 scalar, not ", tensor.dtype(), tensor.shape());
  }
  return *tensor.data<int64_t>();
}

StatusOr<std::vector<Tensor>> values_of(const std::vector<Given>& given, const KnownValues& known) {
  std::vector<Tensor> values;
  for (const Given& each : given) {
    TENON_ASSIGN_OR_RETURN(Tensor value, each.value(known));
    values.push_back(std::move(value));
  }
  return values;
}

Status Pipeline::settle() {
  if (!settled_) {
    TENON_ASSIGN_OR_RETURN(settled_, make_({}));
  }
  return absl::OkStatus();
}

StatusOr<data::DatasetPtr> Pipeline::make(const KnownValues& known) const {
  if (settled_) return settled_;
  return make_(known);
}

StatusOr<data::MapFunction> PipelineFunction::map(const KnownValues& known) const {
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> captured, values_of(captured_, known));
  return data::run_graph(executable_, std::move(captured));
}

StatusOr<data::Predicate> PipelineFunction::predicate(const KnownValues& known) const {
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> captured, values_of(captured_, known));
  return data::test_by_graph(executable_, std::move(captured));
}

StatusOr<data::LengthFunction> PipelineFunction::length(const KnownValues& known) const {
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> captured, values_of(captured_, known));
  return data::measure_by_graph(executable_, std::move(captured));
}

StatusOr<data::FlatMapFunction> PipelineFunction::flat_map(const KnownValues& known) const {
  TENON_ASSIGN_OR_RETURN(data::MapFunction run, map(known));
  return [run = std::move(run), inner = inner_,
          ids = ids_](const data::Element& element) -> StatusOr<data::DatasetPtr> {
    TENON_ASSIGN_OR_RETURN(const data::Element results, run(element));
    KnownValues values;
    for (size_t i = 0; i < ids.size(); ++i) values[ids[i]] = results[i];
    return inner->make(values);
  };
}

namespace {

std::vector<Given> givens(nb::sequence objects) {
  std::vector<Given> given;
  for (nb::handle object : objects) given.emplace_back(to_value(object));
  return given;
}

Given given(nb::handle object) { return Given(to_value(object)); }

std::vector<std::string> texts_of(const Tensor& tensor) {
  std::vector<std::string> texts;
  for (std::string_view text : tensor.span<std::string_view>()) texts.emplace_back(text);
  return texts;
}

using PathsFunction = data::DatasetPtr (*)(std::vector<std::string> paths);

PipelinePtr of_files(nb::handle object, PathsFunction function) {
  return std::make_shared<Pipeline>(
      [paths = given(object), function](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
        TENON_ASSIGN_OR_RETURN(const Tensor tensor, paths.value(known));
        if (tensor.dtype() != DType::kString) {
          return invalid_argument("names of files are strings, not ", tensor.dtype());
        }
        return function(texts_of(tensor));
      });
}

StatusOr<std::vector<data::DatasetPtr>> make_all(const std::vector<PipelinePtr>& pipelines,
                                                 const KnownValues& known) {
  std::vector<data::DatasetPtr> datasets;
  for (const PipelinePtr& each : pipelines) {
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr dataset, each->make(known));
    datasets.push_back(std::move(dataset));
  }
  return datasets;
}

void add_sources(nb::class_<Pipeline>& pipeline) {
  pipeline.def_static("slices", [](nb::sequence tensors) {
    return std::make_shared<Pipeline>(
        [given = givens(tensors)](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(std::vector<Tensor> values, values_of(given, known));
          return data::from_tensors(std::move(values));
        });
  });
  pipeline.def_static("single", [](nb::sequence tensors) {
    return std::make_shared<Pipeline>(
        [given = givens(tensors)](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(std::vector<Tensor> values, values_of(given, known));
          return data::single(std::move(values));
        });
  });
  pipeline.def_static("range", [](nb::handle begin, nb::handle end, nb::handle step) {
    return std::make_shared<Pipeline>([begin = given(begin), end = given(end), step = given(step)](
                                          const KnownValues& known) -> StatusOr<data::DatasetPtr> {
      TENON_ASSIGN_OR_RETURN(const int64_t from, begin.integer(known));
      TENON_ASSIGN_OR_RETURN(const int64_t to, end.integer(known));
      TENON_ASSIGN_OR_RETURN(const int64_t by, step.integer(known));
      if (by == 0) return invalid_argument("step must be a non-zero integer.");
      return data::range(from, to, by);
    });
  });
  pipeline.def_static("text_lines",
                      [](nb::handle paths) { return of_files(paths, data::text_lines); });
  pipeline.def_static("records",
                      [](nb::handle paths) { return of_files(paths, data::tf_records); });
  pipeline.def_static("generator", [](nb::handle start, nb::sequence args) {
    return generator_pipeline(start, givens(args));
  });
  pipeline.def_static("of", [](nb::handle variant) {
    return std::make_shared<Pipeline>(
        [given = given(variant)](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(const Tensor tensor, given.value(known));
          return data::dataset_in(tensor);
        });
  });
  pipeline.def_static("zip", [](const std::vector<PipelinePtr>& pipelines) {
    return std::make_shared<Pipeline>([pipelines](
                                          const KnownValues& known) -> StatusOr<data::DatasetPtr> {
      TENON_ASSIGN_OR_RETURN(std::vector<data::DatasetPtr> datasets, make_all(pipelines, known));
      return data::zip(std::move(datasets));
    });
  });
  pipeline.def_static("draws", [](const std::vector<double>& weights, uint64_t seed, bool redraw) {
    return std::make_shared<Pipeline>(
        [weights, seed, redraw](const KnownValues&) -> StatusOr<data::DatasetPtr> {
          return data::draws(weights, seed, redraw);
        });
  });
}

// A step that takes whole numbers: `apply` gets the dataset and the values of `numbers`.
template <class Apply>
PipelinePtr step(const PipelinePtr& source, std::vector<Given> numbers, Apply apply) {
  return std::make_shared<Pipeline>([source, numbers = std::move(numbers), apply](
                                        const KnownValues& known) -> StatusOr<data::DatasetPtr> {
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr dataset, source->make(known));
    std::vector<int64_t> values;
    for (const Given& number : numbers) {
      TENON_ASSIGN_OR_RETURN(values.emplace_back(), number.integer(known));
    }
    return apply(std::move(dataset), values);
  });
}

Status expect_positive(std::string_view what, int64_t value) {
  if (value > 0) return absl::OkStatus();
  return invalid_argument(what, " must be greater than zero.");
}

// A value is None for zeros.
data::Padding padding_of(nb::sequence shapes, nb::sequence values, bool drop_remainder) {
  data::Padding padding;
  padding.drop_remainder = drop_remainder;
  for (nb::handle shape : shapes) padding.shapes.push_back(shape_from(shape));
  for (nb::handle value : values) {
    const Value padded = value.is_none() ? Value() : to_value(value);
    padding.values.push_back(value.is_none() ? Tensor() : eager(padded, "padding_values"));
  }
  return padding;
}

void add_counted_steps(nb::class_<Pipeline>& pipeline) {
  using Numbers = const std::vector<int64_t>&;
  using Made = StatusOr<data::DatasetPtr>;
  pipeline.def("take", [](const PipelinePtr& p, nb::handle count) {
    return step(p, {given(count)},
                [](data::DatasetPtr d, Numbers n) -> Made { return data::take(d, n[0]); });
  });
  pipeline.def("skip", [](const PipelinePtr& p, nb::handle count) {
    return step(p, {given(count)},
                [](data::DatasetPtr d, Numbers n) -> Made { return data::skip(d, n[0]); });
  });
  pipeline.def("repeat", [](const PipelinePtr& p, nb::handle count) {
    return step(p, {given(count)},
                [](data::DatasetPtr d, Numbers n) -> Made { return data::repeat(d, n[0]); });
  });
  pipeline.def("shard", [](const PipelinePtr& p, nb::handle shards, nb::handle index) {
    return step(p, {given(shards), given(index)},
                [](data::DatasetPtr d, Numbers n) -> Made { return data::shard(d, n[0], n[1]); });
  });
  pipeline.def("batch", [](const PipelinePtr& p, nb::handle size, bool drop_remainder) {
    return step(p, {given(size)}, [drop_remainder](data::DatasetPtr d, Numbers n) -> Made {
      TENON_RETURN_IF_ERROR(expect_positive("Batch size", n[0]));
      return data::batch(d, n[0], drop_remainder);
    });
  });
  pipeline.def("shuffle", [](const PipelinePtr& p, nb::handle buffer, uint64_t seed, uint64_t seed2,
                             bool reshuffle) {
    return step(p, {given(buffer)},
                [seeds = data::ShuffleSeeds(seed, seed2), reshuffle](data::DatasetPtr d,
                                                                     Numbers n) -> Made {
                  TENON_RETURN_IF_ERROR(expect_positive("buffer_size", n[0]));
                  return data::shuffle(d, n[0], seeds, reshuffle);
                });
  });
  pipeline.def("shuffle_and_repeat", [](const PipelinePtr& p, nb::handle buffer, uint64_t seed,
                                        uint64_t seed2, nb::handle count) {
    return step(p, {given(buffer), given(count)},
                [seeds = data::ShuffleSeeds(seed, seed2)](data::DatasetPtr d, Numbers n) -> Made {
                  TENON_RETURN_IF_ERROR(expect_positive("buffer_size", n[0]));
                  return data::shuffle_and_repeat(d, n[0], seeds, n[1]);
                });
  });
  pipeline.def("window", [](const PipelinePtr& p, nb::handle size, nb::handle shift,
                            nb::handle stride, bool drop_remainder) {
    return step(p, {given(size), given(shift), given(stride)},
                [drop_remainder](data::DatasetPtr d, Numbers n) -> Made {
                  TENON_RETURN_IF_ERROR(expect_positive("Window size", n[0]));
                  TENON_RETURN_IF_ERROR(expect_positive("Window shift", n[1]));
                  TENON_RETURN_IF_ERROR(expect_positive("Window stride", n[2]));
                  return data::windows(d, n[0], n[1], n[2], drop_remainder);
                });
  });
  pipeline.def("padded_batch", [](const PipelinePtr& p, nb::handle size, nb::sequence shapes,
                                  nb::sequence values, bool drop_remainder) {
    const data::Padding padding = padding_of(shapes, values, drop_remainder);
    return step(p, {given(size)}, [padding](data::DatasetPtr d, Numbers n) -> Made {
      TENON_RETURN_IF_ERROR(expect_positive("Batch size", n[0]));
      return data::padded_batch(d, n[0], padding);
    });
  });
  pipeline.def("cache", [](const PipelinePtr& p, const std::string& path) {
    return step(p, {}, [path](data::DatasetPtr d, Numbers) -> Made {
      return path.empty() ? data::cache(d) : data::cache(d, path);
    });
  });
  pipeline.def("prefetch", [](const PipelinePtr& p, int depth) {
    return step(p, {}, [depth](data::DatasetPtr d, Numbers) -> Made {
      return depth == 0 ? d : data::prefetch(d, depth);
    });
  });
  pipeline.def("unbatch", [](const PipelinePtr& p) {
    return step(p, {}, [](data::DatasetPtr d, Numbers) -> Made { return data::unbatch(d); });
  });
}

// A step that takes a function: `apply` gets the dataset and what `bind` makes of it.
template <class Bind, class Apply>
PipelinePtr function_step(const PipelinePtr& source, const std::shared_ptr<PipelineFunction>& f,
                          Bind bind, Apply apply) {
  return std::make_shared<Pipeline>([=](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr dataset, source->make(known));
    TENON_ASSIGN_OR_RETURN(auto function, ((*f).*bind)(known));
    return apply(std::move(dataset), std::move(function));
  });
}

void add_function_steps(nb::class_<Pipeline>& pipeline) {
  using FunctionPtr = std::shared_ptr<PipelineFunction>;
  pipeline.def("map", [](const PipelinePtr& p, const FunctionPtr& f, int threads) {
    return function_step(p, f, &PipelineFunction::map, [threads](auto dataset, auto function) {
      return data::map(std::move(dataset), std::move(function), threads);
    });
  });
  pipeline.def("filter", [](const PipelinePtr& p, const FunctionPtr& f) {
    return function_step(p, f, &PipelineFunction::predicate, data::filter);
  });
  pipeline.def("take_while", [](const PipelinePtr& p, const FunctionPtr& f) {
    return function_step(p, f, &PipelineFunction::predicate, data::take_while);
  });
  pipeline.def("bucket_by_length", [](const PipelinePtr& p, const FunctionPtr& f,
                                      const std::vector<int64_t>& boundaries,
                                      const std::vector<int64_t>& sizes, bool pad_to_boundary,
                                      nb::sequence shapes, nb::sequence values, bool drop) {
    const data::Buckets buckets{boundaries, sizes, pad_to_boundary,
                                padding_of(shapes, values, drop)};
    return function_step(p, f, &PipelineFunction::length, [buckets](auto dataset, auto function) {
      return data::bucket_by_length(std::move(dataset), std::move(function), buckets);
    });
  });
  pipeline.def("interleave", [](const PipelinePtr& p, const FunctionPtr& f, int64_t cycle,
                                int64_t block, int threads, bool deterministic) {
    return function_step(p, f, &PipelineFunction::flat_map, [=](auto dataset, auto function) {
      return data::interleave(std::move(dataset), std::move(function), cycle, block, threads,
                              deterministic);
    });
  });
  pipeline.def("scan", [](const PipelinePtr& p, const FunctionPtr& f, nb::sequence state) {
    return std::make_shared<Pipeline>(
        [p, f, state = givens(state)](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(data::DatasetPtr dataset, p->make(known));
          TENON_ASSIGN_OR_RETURN(data::MapFunction function, f->map(known));
          TENON_ASSIGN_OR_RETURN(std::vector<Tensor> values, values_of(state, known));
          return data::scan(std::move(dataset), std::move(values), std::move(function));
        });
  });
  pipeline.def("group_by_window", [](const PipelinePtr& p, const FunctionPtr& key,
                                     const FunctionPtr& reduce, const FunctionPtr& size) {
    return std::make_shared<Pipeline>(
        [p, key, reduce, size](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(data::DatasetPtr dataset, p->make(known));
          data::GroupFunctions functions;
          TENON_ASSIGN_OR_RETURN(functions.key, key->length(known));
          TENON_ASSIGN_OR_RETURN(functions.size, size->length(known));
          TENON_ASSIGN_OR_RETURN(functions.reduce, reduce->flat_map(known));
          return data::group_by_window(std::move(dataset), std::move(functions));
        });
  });
  pipeline.def("choose", [](const PipelinePtr& choices, const std::vector<PipelinePtr>& pipelines,
                            bool stop_on_empty) {
    return std::make_shared<Pipeline>([choices, pipelines, stop_on_empty](
                                          const KnownValues& known) -> StatusOr<data::DatasetPtr> {
      TENON_ASSIGN_OR_RETURN(std::vector<data::DatasetPtr> datasets, make_all(pipelines, known));
      TENON_ASSIGN_OR_RETURN(data::DatasetPtr numbers, choices->make(known));
      return data::choose(std::move(datasets), std::move(numbers), stop_on_empty);
    });
  });
  pipeline.def("concatenate", [](const PipelinePtr& p, const PipelinePtr& other) {
    return std::make_shared<Pipeline>(
        [p, other](const KnownValues& known) -> StatusOr<data::DatasetPtr> {
          TENON_ASSIGN_OR_RETURN(data::DatasetPtr first, p->make(known));
          TENON_ASSIGN_OR_RETURN(data::DatasetPtr second, other->make(known));
          return data::concatenate(std::move(first), std::move(second));
        });
  });
}

}  // namespace

void register_pipeline(nb::module_& m) {
  nb::class_<PipelineFunction>(m, "PipelineFunction")
      .def(nb::new_([](GraphFunction& function, nb::sequence captured, nb::handle inner,
                       nb::sequence symbols) {
             std::vector<int64_t> ids;
             for (nb::handle symbol : symbols) ids.push_back(to_value(symbol).id);
             return std::make_shared<PipelineFunction>(
                 function, givens(captured),
                 inner.is_none() ? nullptr : nb::cast<PipelinePtr>(inner), std::move(ids));
           }),
           nb::arg("function"), nb::arg("captured"), nb::arg("inner").none(), nb::arg("symbols"));
  nb::class_<Pipeline> pipeline(m, "Pipeline");
  pipeline.def("settle", [](Pipeline& p) { check(p.settle()); });
  add_sources(pipeline);
  add_counted_steps(pipeline);
  add_function_steps(pipeline);
  register_pipeline_iterator(m);
}

}  // namespace tenon::python
