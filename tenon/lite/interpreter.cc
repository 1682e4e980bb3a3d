#include "tenon/lite/interpreter.h"

#include <set>

#include "tenon/base/out_of_memory.h"
#include "tenon/graph/effects.h"

namespace tenon::lite {

// The tensors of a signature. Arguments are lent to runs, so that whoever keeps one beyond its run
// copies it and the caller may write the next values where the last ones were.
struct Interpreter::Session {
  std::shared_ptr<Executable> executable;
  std::vector<Tensor> inputs, arguments, results;
  bool ran = false;

  Status set_input(size_t index, Tensor value) {
    Tensor argument = value;
    if (!is_object(value.dtype())) {
      TENON_ASSIGN_OR_RETURN(argument, Tensor::lent(value.dtype(), value.shape(), value.raw(), {}));
    }
    inputs[index] = std::move(value);
    arguments[index] = std::move(argument);
    ran = false;
    return absl::OkStatus();
  }
};

Interpreter::Interpreter(std::shared_ptr<const ModelFile> file)
    : file_(file), functions_(std::move(file)) {}

Interpreter::~Interpreter() = default;

StatusOr<std::unique_ptr<Interpreter>> Interpreter::create(std::shared_ptr<const ModelFile> file) {
  std::unique_ptr<Interpreter> made(new Interpreter(std::move(file)));
  TENON_ASSIGN_OR_RETURN(made->signatures_, find_signatures(*made->file_));
  std::set<std::string_view> names;
  for (const LiteSignature& signature : made->signatures_) {
    if (names.insert(signature.name).second) continue;
    return invalid_argument("two signatures have the name '", signature.name, "'");
  }
  TENON_RETURN_IF_ERROR(made->translate());
  TENON_RETURN_IF_ERROR(made->reset());
  return made;
}

// All subgraphs that signatures and the initialisation reach, which says what variables there are.
Status Interpreter::translate() {
  for (const LiteSignature& signature : signatures_) functions_.function(signature.subgraph);
  std::set<std::string> done;
  for (bool more = true; more;) {
    more = false;
    for (const int subgraph : functions_.notes().run_once) functions_.function(subgraph);
    for (const std::string& name : functions_.library()->names()) {
      if (!done.insert(name).second) continue;
      TENON_RETURN_IF_ERROR(functions_.library()->find(name).status());
      more = true;
    }
  }
  return absl::OkStatus();
}

StatusOr<std::shared_ptr<Executable>> Interpreter::executable(int subgraph) {
  TENON_ASSIGN_OR_RETURN(const auto function,
                         functions_.library()->find(functions_.function(subgraph)));
  Graph graph = *function;
  graph.set_library(functions_.library());
  return Executable::create(std::move(graph), state_);
}

Status Interpreter::reset() {
  state_ = std::make_shared<ModelState>();
  sessions_.clear();
  sessions_.resize(signatures_.size());
  for (const auto& [name, variable] : functions_.notes().variables) {
    TENON_ASSIGN_OR_RETURN(Tensor value, filled(variable.dtype, variable.shape, variable.fill));
    TENON_RETURN_IF_ERROR(state_->set_variable(name, std::move(value)));
  }
  std::set<int> done;
  for (const int subgraph : functions_.notes().run_once) {
    if (!done.insert(subgraph).second) continue;
    if (length(file_->subgraph(subgraph).inputs()) > 0) {
      return invalid_argument("CALL_ONCE runs subgraph ", subgraph, ", which has inputs");
    }
    TENON_ASSIGN_OR_RETURN(const auto once, executable(subgraph));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(with_context(once->run({}, results), "running the initialisation"));
  }
  WrittenResources written;
  for (const LiteSignature& signature : signatures_) {
    TENON_ASSIGN_OR_RETURN(const auto function,
                           functions_.library()->find(functions_.function(signature.subgraph)));
    TENON_RETURN_IF_ERROR(collect_written(*function, written));
  }
  for (const auto& [name, variable] : state_->variables()) {
    if (!written.contains(name)) state_->freeze(name);
  }
  return absl::OkStatus();
}

Status Interpreter::select(std::string_view signature) {
  std::string names;
  for (size_t i = 0; i < signatures_.size(); ++i) {
    if (signatures_[i].name == signature) {
      selected_ = i;
      return absl::OkStatus();
    }
    names += cat(names.empty() ? "'" : ", '", signatures_[i].name, "'");
  }
  return not_found("there is no signature '", signature, "', the model has ", names);
}

StatusOr<Interpreter::Session*> Interpreter::session() {
  std::unique_ptr<Session>& place = sessions_[selected_];
  if (!place) {
    TENON_ASSIGN_OR_RETURN(place, make_session(signature()));
  }
  return place.get();
}

// Inputs have the shapes that stand in the file, where a dimension that is open is 1.
StatusOr<std::unique_ptr<Interpreter::Session>> Interpreter::make_session(
    const LiteSignature& signature) {
  auto session = std::make_unique<Session>();
  TENON_ASSIGN_OR_RETURN(session->executable, executable(signature.subgraph));
  session->inputs.resize(signature.inputs.size());
  session->arguments.resize(signature.inputs.size());
  const schema::SubGraph& graph = file_->subgraph(signature.subgraph);
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const NamedTensor& input = signature.inputs[i];
    std::vector<int64_t> dims;
    for (int axis = 0; input.value.shape.has_rank() && axis < input.value.shape.rank(); ++axis) {
      const auto* stored = graph.tensors()->Get(static_cast<uint32_t>(input.tensor))->shape();
      const int64_t declared = input.value.shape[axis];
      const int64_t open = axis < length(stored) ? stored->Get(static_cast<uint32_t>(axis)) : 1;
      dims.push_back(declared >= 0 ? declared : std::max<int64_t>(open, 1));
    }
    TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, size_of(input.value.dtype)));
    TENON_ASSIGN_OR_RETURN(Tensor zeros, filled(input.value.dtype, std::move(shape), 0));
    TENON_RETURN_IF_ERROR(session->set_input(i, std::move(zeros)));
  }
  return session;
}

TensorView Interpreter::view(const LiteSignature& signature, const NamedTensor& named) const {
  TensorView view{.named = &named};
  const auto* tensors = file_->subgraph(signature.subgraph).tensors();
  const auto* levels = tensors->Get(static_cast<uint32_t>(named.tensor))->quantization();
  if (levels && length(levels->scale()) == 1) {
    view.scale = levels->scale()->Get(0);
    view.zero_point = length(levels->zero_point()) == 1 ? levels->zero_point()->Get(0) : 0;
  }
  return view;
}

StatusOr<TensorView> Interpreter::input(size_t index) {
  TENON_ASSIGN_OR_RETURN(Session * session, this->session());
  TensorView found = view(signature(), signature().inputs[index]);
  found.tensor = &session->inputs[index];
  found.data = session->inputs[index].mutable_raw();
  return found;
}

StatusOr<TensorView> Interpreter::output(size_t index) {
  TENON_ASSIGN_OR_RETURN(Session * session, this->session());
  TensorView found = view(signature(), signature().outputs[index]);
  if (session->ran) {
    found.tensor = &session->results[index];
    found.data = session->results[index].mutable_raw();
  }
  return found;
}

Status Interpreter::resize(size_t index, std::span<const int64_t> dims) {
  TENON_ASSIGN_OR_RETURN(Session * session, this->session());
  const NamedTensor& input = signature().inputs[index];
  const PartialShape& declared = input.value.shape;
  if (declared.has_rank() && declared.rank() != static_cast<int>(dims.size())) {
    return invalid_argument("input '", input.name, "' has the shape ", declared, ", a shape of ",
                            dims.size(), " dimensions was asked for");
  }
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, size_of(input.value.dtype)));
  if (shape == session->inputs[index].shape()) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(Tensor zeros, filled(input.value.dtype, std::move(shape), 0));
  return session->set_input(index, std::move(zeros));
}

Status Interpreter::set_strings(size_t index, std::span<const std::string_view> texts) {
  TENON_ASSIGN_OR_RETURN(Session * session, this->session());
  StringTensorBuilder builder(session->inputs[index].shape());
  for (size_t i = 0; i < texts.size(); ++i) builder.set(static_cast<int64_t>(i), texts[i]);
  return session->set_input(index, std::move(builder).build());
}

Status Interpreter::invoke() {
  TENON_ASSIGN_OR_RETURN(Session * session, this->session());
  session->ran = false;
  TENON_RETURN_IF_ERROR(session->executable->run(session->arguments, session->results));
  session->ran = true;
  return absl::OkStatus();
}

}  // namespace tenon::lite
