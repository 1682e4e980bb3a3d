#include "tenon/graph/messages/function_def_writer.h"

#include "tenon/base/wire.h"
#include "tenon/graph/messages/attr_message.h"

namespace tenon {
namespace {

void append_arg_def(std::string& out, uint32_t number, std::string_view name, DType dtype) {
  append_message(out, number, [&] {
    append_string_field(out, 1, name);
    append_varint_field(out, 3, static_cast<uint64_t>(dtype));
  });
}

// An entry of a map<string, string>.
void append_text_entry(std::string& out, uint32_t number, std::string_view key,
                       std::string_view value) {
  append_message(out, number, [&] {
    append_bytes_field(out, 1, key);
    append_bytes_field(out, 2, value);
  });
}

}  // namespace

void NodeDefList::add(std::string_view name, std::string_view op,
                      const std::vector<std::string>& inputs, const AttrMap& attrs,
                      std::string_view device) {
  append_message(bytes_, number_, [&] {
    append_string_field(bytes_, 1, name);
    append_string_field(bytes_, 2, op);
    for (const std::string& input : inputs) append_bytes_field(bytes_, 3, input);
    append_string_field(bytes_, 4, device);
    for (const auto& [key, value] : attrs) append_attr_entry(bytes_, 5, key, value);
  });
}

void FunctionDefWriter::add_arg(std::string_view name, DType dtype) {
  append_arg_def(args_, 2, name, dtype);
  ++num_args_;
}

void FunctionDefWriter::add_arg(std::string_view name, const Node& node) {
  const ValueInfo& value = node.outputs[0];
  append_message(arg_attrs_, 7, [&] {
    append_varint(arg_attrs_, 1 << 3);
    append_varint(arg_attrs_, num_args_);
    append_message(arg_attrs_, 2, [&] {
      if (value.dtype != DType::kResource) {
        append_attr_entry(arg_attrs_, 1, "_output_shapes", std::vector<PartialShape>{value.shape});
      }
      append_attr_entry(arg_attrs_, 1, "_user_specified_name", node.name);
    });
  });
  add_arg(name, value.dtype);
}

void FunctionDefWriter::add_result(std::string_view name, DType dtype, std::string_view tensor) {
  append_arg_def(results_, 3, name, dtype);
  ret_.insert_or_assign(std::string(name), std::string(tensor));
}

void FunctionDefWriter::add_control_output(std::string_view node) {
  control_outputs_.emplace_back(node);
}

std::string FunctionDefWriter::serialize() const {
  std::string out;
  append_message(out, 1, [&] {
    append_string_field(out, 1, name_);
    out += args_;
    out += results_;
    append_varint_field(out, 17, stateful_);
    for (const std::string& node : control_outputs_) append_bytes_field(out, 20, node);
  });
  out += nodes_.bytes();
  for (const auto& [result, tensor] : ret_) append_text_entry(out, 4, result, tensor);
  const std::set<std::string_view> controls(control_outputs_.begin(), control_outputs_.end());
  for (const std::string_view node : controls) append_text_entry(out, 6, node, node);
  out += arg_attrs_;
  return out;
}

std::string FunctionDefList::free_name(std::string_view prefix) const {
  for (int suffix = 0;; ++suffix) {
    std::string name = cat(prefix, "_", suffix);
    if (!contains(name)) return name;
  }
}

Status FunctionDefList::add(const FunctionDefWriter& function) {
  const std::string bytes = function.serialize();
  if (const auto it = by_name_.find(function.name()); it != by_name_.end()) {
    const Place& place = it->second;
    if (std::string_view(bytes_).substr(place.begin, place.size) == bytes) return absl::OkStatus();
    return already_exists("there are two different functions '", function.name(), "'");
  }
  append_bytes_field(bytes_, 1, bytes);
  by_name_.emplace(function.name(), Place{bytes_.size() - bytes.size(), bytes.size()});
  return absl::OkStatus();
}

}  // namespace tenon
