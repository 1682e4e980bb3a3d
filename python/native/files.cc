#include "python/native/files.h"

#include "python/native/arrays.h"
#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "tenon/io/checkpoint_state.h"
#include "tenon/io/record_io.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/observe/event_writer.h"

namespace tenon::python {
namespace {

// Calls `body`, which gives a Status or a StatusOr, without the interpreter's lock.
template <class Body>
auto unlocked(Body&& body) {
  const nb::gil_scoped_release released;
  return body();
}

struct Bundle {
  std::unique_ptr<BundleReader> reader;
};

Bundle open_bundle(const std::string& prefix) {
  return {value_of(unlocked([&] { return BundleReader::open(prefix); }))};
}

void write_bundle(const std::string& prefix,
                  const std::vector<std::pair<std::string, nb::object>>& tensors) {
  std::vector<std::pair<std::string, Tensor>> values;
  for (const auto& [key, object] : tensors) {
    const Value value = to_value(object);
    values.emplace_back(key, eager(value, "a value of a checkpoint"));
  }
  check(unlocked([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
    for (const auto& [key, value] : values) TENON_RETURN_IF_ERROR(writer->add(key, value));
    return writer->finish();
  }));
}

// None where the folder names no checkpoint.
nb::object checkpoint_state(const std::string& folder) {
  StatusOr<CheckpointState> state = read_checkpoint_state(folder);
  if (absl::IsNotFound(state.status())) return nb::none();
  const CheckpointState found = value_of(std::move(state));
  return nb::make_tuple(found.model_checkpoint_path, found.all_model_checkpoint_paths,
                        found.all_model_checkpoint_timestamps, found.last_preserved_timestamp);
}

// The outputs of ParseExampleV2, one after the other: indices, values and shapes of the features of
// `sparse_types`, then the dense ones.
std::vector<DType> dtypes_of(nb::sequence objects) {
  std::vector<DType> dtypes;
  for (nb::handle object : objects) dtypes.push_back(dtype_from(object));
  return dtypes;
}

// The outputs of ParseExampleV2: indices, values and shapes of sparse features, dense ones, values
// and row splits of ragged ones.
nb::list parse_example(nb::handle serialized, nb::handle sparse_keys, nb::sequence sparse_types,
                       nb::handle dense_keys, nb::sequence defaults, nb::sequence dense_shapes,
                       nb::handle ragged_keys, nb::sequence ragged_types,
                       nb::sequence ragged_split_types) {
  const Value none(Tensor(DType::kString, Shape{0}));
  std::vector<Value> inputs = {to_value(serialized), none, to_value(sparse_keys),
                               to_value(dense_keys), to_value(ragged_keys)};
  for (nb::handle value : defaults) inputs.push_back(to_value(value));
  std::vector<DType> types = dtypes_of(sparse_types);
  std::vector<PartialShape> shapes;
  for (nb::handle shape : dense_shapes) shapes.push_back(shape_from(shape));
  nb::list outputs;
  const auto num_sparse = static_cast<int64_t>(types.size());
  for (Value& output : run_op("ParseExampleV2", inputs,
                              {{"num_sparse", num_sparse},
                               {"sparse_types", std::move(types)},
                               {"ragged_value_types", dtypes_of(ragged_types)},
                               {"ragged_split_types", dtypes_of(ragged_split_types)},
                               {"dense_shapes", std::move(shapes)}})) {
    outputs.append(wrap(std::move(output)));
  }
  return outputs;
}

Compression compression_of(const std::string& name) {
  if (name.empty()) return Compression::kNone;
  if (name == "GZIP") return Compression::kGzip;
  if (name == "ZLIB") return Compression::kZlib;
  raise(PyExc_ValueError, "the compression is '', 'GZIP' or 'ZLIB', not '", name, "'");
}

}  // namespace

void register_files(nb::module_& m) {
  nb::class_<Bundle>(m, "Bundle")
      .def("entries",
           [](const Bundle& bundle) {
             nb::dict entries;
             for (const auto& [key, entry] : bundle.reader->entries()) {
               entries[key.c_str()] =
                   nb::make_tuple(shape_object(entry.shape), dtype_object(entry.dtype));
             }
             return entries;
           })
      .def("read", [](const Bundle& bundle, const std::string& key) {
        return wrap(Value(value_of(unlocked([&] { return bundle.reader->read(key); }))));
      });
  m.def("open_bundle", open_bundle);
  m.def("write_bundle", write_bundle);
  m.def("checkpoint_state", checkpoint_state);
  m.def("write_checkpoint_state", [](const std::string& folder, const std::string& newest,
                                     const std::vector<std::string>& all,
                                     const std::vector<double>& timestamps, double preserved) {
    check(write_checkpoint_state(folder, {newest, all, timestamps, preserved}));
  });
  m.def("parse_example", parse_example);
  nb::class_<RecordWriter>(m, "RecordWriter")
      .def(nb::new_([](const std::string& path, const std::string& compression) {
        return value_of(RecordWriter::create(path, compression_of(compression))).release();
      }))
      .def("append", [](RecordWriter& writer,
                        nb::handle record) { check(writer.append(text_of(record.ptr()))); })
      .def("flush", [](RecordWriter& writer) { check(writer.flush()); })
      .def("close", [](RecordWriter& writer) { check(writer.close()); });
  nb::class_<EventWriter>(m, "EventWriter")
      .def(nb::new_([](const std::string& folder) {
        return value_of(EventWriter::create(folder)).release();
      }))
      .def("scalar",
           [](EventWriter& writer, const std::string& tag, int64_t step, double value) {
             check(writer.write_scalar(tag, step, static_cast<float>(value)));
           })
      .def("tensor",
           [](EventWriter& writer, const std::string& tag, int64_t step, nb::bytes tensor,
              nb::bytes metadata) {
             check(writer.write_tensor(tag, step, {tensor.c_str(), tensor.size()},
                                       {metadata.c_str(), metadata.size()}));
           })
      .def("flush", [](EventWriter& writer) { check(writer.flush()); });
}

}  // namespace tenon::python
