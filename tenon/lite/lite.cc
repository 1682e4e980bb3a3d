#include "tenon/lite/lite.h"

#include <set>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/graph/export.h"
#include "tenon/lite/signatures.h"
#include "tenon/lite/subgraph.h"
#include "tenon/saved_model/calls.h"

namespace tenon::lite {
namespace {

using saved_model_internal::add_call;
using saved_model_internal::add_constant;

constexpr std::string_view kInitialisation = "initialisation";

class SavedModelWriter {
 public:
  explicit SavedModelWriter(std::shared_ptr<const ModelFile> file)
      : functions_(file), file_(std::move(file)) {}

  StatusOr<std::string> write() {
    TENON_ASSIGN_OR_RETURN(const std::vector<LiteSignature> signatures, find_signatures(*file_));
    for (const LiteSignature& signature : signatures) {
      TENON_RETURN_IF_ERROR(add_signature(signature));
    }
    TENON_RETURN_IF_ERROR(add_initialisation());
    return message();
  }

 private:
  // The function of a subgraph and those it reaches, once.
  StatusOr<std::string> add_function(int subgraph) {
    const std::string name = functions_.function(subgraph);
    TENON_ASSIGN_OR_RETURN(const auto body, functions_.library()->find(name));
    TENON_RETURN_IF_ERROR(add_reached_functions(*body, library_, OwnOps::kWrite));
    TENON_ASSIGN_OR_RETURN(const FunctionDefWriter function,
                           write_function(*body, name, OwnOps::kWrite));
    TENON_RETURN_IF_ERROR(library_.add(function));
    return name;
  }

  Status add_signature(const LiteSignature& signature) {
    TENON_ASSIGN_OR_RETURN(const std::string function, add_function(signature.subgraph));
    const std::string prefix = cat("signature_", signature_defs_.size());
    std::vector<std::string> inputs;
    std::vector<DType> input_dtypes, output_dtypes;
    std::string def;
    for (const NamedTensor& input : signature.inputs) {
      inputs.push_back(cat(prefix, "_input_", input.place));
      input_dtypes.push_back(input.value.dtype);
      nodes_.add(inputs.back(), "Placeholder", {},
                 {{"dtype", input.value.dtype}, {"shape", input.value.shape}});
      append_tensor_info(def, 1, input.name, cat(inputs.back(), ":0"), input.value);
    }
    for (const NamedTensor& output : signature.outputs) {
      output_dtypes.push_back(output.value.dtype);
      append_tensor_info(def, 2, output.name, cat(prefix, ":", output.place), output.value);
    }
    append_string_field(def, 3, "tensorflow/serving/predict");
    add_call(nodes_, prefix, function, inputs, input_dtypes, output_dtypes);
    if (!signature_defs_.emplace(signature.name, std::move(def)).second) {
      return invalid_argument("two signatures have the name '", signature.name, "'");
    }
    return absl::OkStatus();
  }

  static void append_tensor_info(std::string& out, uint32_t number, std::string_view alias,
                                 std::string_view tensor, const ValueInfo& value) {
    append_message(out, number, [&] {
      append_bytes_field(out, 1, alias);
      append_message(out, 2, [&] {
        append_bytes_field(out, 1, tensor);
        append_varint_field(out, 2, static_cast<uint64_t>(value.dtype));
        append_message(out, 3, [&] { append_shape(out, value.shape); });
      });
    });
  }

  // A function that sets variables to zero and runs what is to run once. Running those may bring
  // in more of both.
  Status add_initialisation() {
    TranslationNotes& notes = functions_.notes();
    FunctionDefWriter init(kInitialisation);
    init.set_stateful(true);
    std::set<int> done;
    for (size_t i = 0; i < notes.run_once.size(); ++i) {
      const int subgraph = notes.run_once[i];
      if (!done.insert(subgraph).second) continue;
      if (length(file_->subgraph(subgraph).inputs()) > 0) {
        return invalid_argument("CALL_ONCE runs subgraph ", subgraph, ", which has inputs");
      }
      TENON_ASSIGN_OR_RETURN(const std::string function, add_function(subgraph));
      const auto body = functions_.library()->find(function);
      std::vector<DType> dtypes;
      for (Endpoint result : (*body)->results) dtypes.push_back((*body)->value(result).dtype);
      add_call(init.nodes(), cat("once_", i), function, {}, {}, dtypes);
      init.add_control_output(cat("once_", i));
    }
    for (int i = 0; const auto& [name, variable] : notes.variables) {
      const std::string handle = cat("handle_", i), value = cat("value_", i),
                        dims = cat("dims_", i), zero = cat("zero_", i), set = cat("set_", i);
      ++i;
      init.nodes().add(handle, "VarHandleOp", {},
                       {{"dtype", variable.dtype},
                        {"shape", PartialShape(variable.shape)},
                        {"shared_name", name}});
      TENON_ASSIGN_OR_RETURN(const Tensor level, filled(variable.dtype, Shape(), variable.fill));
      add_constant(init.nodes(), zero, level);
      add_constant(init.nodes(), dims, Tensor::vector<int64_t>(variable.shape.dims()));
      init.nodes().add(value, "Fill", {cat(dims, ":output:0"), cat(zero, ":output:0")},
                       {{"T", variable.dtype}, {"index_type", DType::kInt64}});
      init.nodes().add(set, "AssignVariableOp",
                       {cat(handle, ":resource:0"), cat(value, ":output:0")},
                       {{"dtype", variable.dtype}});
      init.add_control_output(set);
    }
    if (notes.variables.empty() && done.empty()) return absl::OkStatus();
    TENON_RETURN_IF_ERROR(library_.add(init));
    add_call(nodes_, kInitialisation, kInitialisation, {}, {}, {});
    initialised_ = true;
    return absl::OkStatus();
  }

  std::string message() const {
    std::string out;
    append_varint_field(out, 1, 1);  // saved_model_schema_version
    append_message(out, 2, [&] {
      append_message(out, 1, [&] { append_string_field(out, 4, "serve"); });
      append_message(out, 2, [&] {
        out += nodes_.bytes();
        append_bytes_field(out, 2, library_.bytes());
        append_message(out, 4, [&] { append_varint_field(out, 1, 2474); });  // producer
      });
      if (initialised_) {
        append_message(out, 4, [&] {
          append_bytes_field(out, 1, "saved_model_main_op");
          append_message(out, 2, [&] {
            append_message(out, 1, [&] { append_bytes_field(out, 1, kInitialisation); });
          });
        });
      }
      for (const auto& [name, def] : signature_defs_) {
        append_message(out, 5, [&, &name = name, &def = def] {
          append_bytes_field(out, 1, name);
          append_bytes_field(out, 2, def);
        });
      }
    });
    return out;
  }

  SubgraphFunctions functions_;
  std::shared_ptr<const ModelFile> file_;
  NodeDefList nodes_{NodeDefList::Of::kGraph};
  FunctionDefList library_;
  std::map<std::string, std::string> signature_defs_;
  bool initialised_ = false;
};

}  // namespace

StatusOr<std::string> saved_model_of(std::string bytes) {
  return or_out_of_memory([&]() -> StatusOr<std::string> {
    TENON_ASSIGN_OR_RETURN(auto file, ModelFile::parse(std::move(bytes)));
    return SavedModelWriter(std::move(file)).write();
  });
}

}  // namespace tenon::lite
