#include "tenon/saved_model/structured_value.h"

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon::saved_model_internal {
namespace {

// Field numbers of StructuredValue.
enum ValueKind : uint32_t {
  kNone = 1,
  kString = 13,
  kTensorSpec = 33,
  kListValue = 51,
  kTuple = 52,
  kDict = 53,
  kNamedTuple = 54,
};

std::string tensor_spec(std::string_view name, const ValueInfo& value) {
  std::string out;
  append_message(out, kTensorSpec, [&] {
    append_string_field(out, 1, name);
    append_message(out, 2, [&] { append_shape(out, value.shape); });
    append_varint_field(out, 3, static_cast<uint64_t>(value.dtype));
  });
  return out;
}

std::string sequence(ValueKind kind, const std::vector<std::string>& values) {
  std::string out;
  append_message(out, kind, [&] {
    for (const std::string& value : values) append_bytes_field(out, 1, value);
  });
  return out;
}

std::string dictionary(const std::map<std::string, std::string>& fields) {
  std::string out;
  append_message(out, kDict, [&] {
    for (const auto& [key, value] : fields) {
      append_message(out, 1, [&, &key = key, &value = value] {
        append_bytes_field(out, 1, key);
        append_bytes_field(out, 2, value);
      });
    }
  });
  return out;
}

std::string list_of_strings(const std::vector<std::string>& texts) {
  std::vector<std::string> values;
  for (const std::string& text : texts) {
    append_bytes_field(values.emplace_back(), kString, text);
  }
  return sequence(kListValue, values);
}

}  // namespace

std::string none_value() {
  std::string out;
  append_bytes_field(out, kNone, {});
  return out;
}

std::string tuple_value(const std::vector<std::string>& values) { return sequence(kTuple, values); }

std::string positional_argument(const ExportedEndpoint& endpoint) {
  std::vector<std::string> specs;
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) {
    specs.push_back(tensor_spec(endpoint.input_name(i), endpoint.input(i)));
  }
  return specs.size() == 1 ? specs[0] : sequence(kListValue, specs);
}

std::string endpoint_inputs(const ExportedEndpoint& endpoint) {
  std::vector<std::string> args;
  if (endpoint.num_inputs() > 0) args.push_back(positional_argument(endpoint));
  return tuple_value({tuple_value(args), dictionary({})});
}

std::string signature_inputs(const ExportedEndpoint& endpoint) {
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) {
    fields[endpoint.input_name(i)] = tensor_spec(endpoint.input_name(i), endpoint.input(i));
  }
  return tuple_value({tuple_value({}), dictionary(fields)});
}

std::string outputs_by_name(const ExportedEndpoint& endpoint) {
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i < endpoint.body.results.size(); ++i) {
    const std::string& name = endpoint.body.result_names[i];
    fields[name] = tensor_spec(name, endpoint.output(i));
  }
  return dictionary(fields);
}

std::string endpoint_outputs(const ExportedEndpoint& endpoint) {
  if (!endpoint.lists_outputs) return outputs_by_name(endpoint);
  const std::vector<std::string>& names = endpoint.body.result_names;
  std::vector<std::string> specs;
  for (size_t i = 0; i < names.size(); ++i) {
    specs.push_back(tensor_spec(names[i], endpoint.output(i)));
  }
  return specs.size() == 1 ? specs[0] : sequence(kListValue, specs);
}

std::string argument_spec(const std::vector<std::string>& args,
                          const std::vector<std::string>& keywords) {
  std::string out;
  append_message(out, kNamedTuple, [&] {
    append_string_field(out, 1, "FullArgSpec");
    const auto add = [&](std::string_view key, std::string_view value) {
      append_message(out, 2, [&] {
        append_string_field(out, 1, key);
        append_bytes_field(out, 2, value);
      });
    };
    add("args", list_of_strings(args));
    for (const char* field : {"varargs", "varkw", "defaults"}) add(field, none_value());
    add("kwonlyargs", list_of_strings(keywords));
    add("kwonlydefaults", none_value());
    add("annotations", dictionary({}));
  });
  return out;
}

}  // namespace tenon::saved_model_internal
