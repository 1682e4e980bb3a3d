#include "tenon/serving/inference/inference_messages.h"

#include <bit>

#include "tenon/base/wire.h"

namespace tenon::serving {

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
    const uint8_t lead = byte(i);
    const size_t length = lead < 0x80             ? 1
                          : (lead & 0xe0) == 0xc0 ? 2
                          : (lead & 0xf0) == 0xe0 ? 3
                          : (lead & 0xf8) == 0xf0 ? 4
                                                  : 0;
    if (length == 0 || length > text.size() - i) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fU >> length);
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
      code = code << 6 | (byte(i + k) & 0x3fU);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += length;
  }
  return true;
}

namespace {

bool read_text(const WireField& field, std::string& text) {
  text = field.bytes;
  return is_utf8(field.bytes);
}

// google.protobuf.Int64Value
bool read_int64_value(std::string_view message, int64_t& value) {
  WireReader reader(message);
  WireField field;
  value = 0;
  while (reader.next(field)) {
    if (field.is_varint(1)) value = static_cast<int64_t>(field.value);
  }
  return !reader.malformed();
}

Status malformed(std::string_view name) {
  return internal("the request is no tensorflow.serving.", name, ": its bytes are malformed");
}

}  // namespace

bool parse_model_spec(std::string_view message, NamedSpec& spec) {
  WireReader reader(message);
  WireField field;
  bool texts = true;
  while (reader.next(field)) {
    if (field.is_bytes(1)) texts &= read_text(field, spec.model.name);
    if (field.is_bytes(3)) texts &= read_text(field, spec.signature_name);
    if (field.is_bytes(2)) {  // version and label: of the two, the one that comes last
      int64_t version = 0;
      if (!read_int64_value(field.bytes, version)) return false;
      spec.model.version = version;
      spec.model.label.clear();
    }
    if (field.is_bytes(4)) {
      texts &= read_text(field, spec.model.label);
      spec.model.version.reset();
    }
  }
  return texts && !reader.malformed();
}

void append_model_spec(std::string& out, uint32_t number, const ServedVersion& served,
                       std::string_view signature_name) {
  append_message(out, number, [&] {
    append_string_field(out, 1, served.model);
    append_message(out, 2,
                   [&] { append_varint_field(out, 1, static_cast<uint64_t>(served.version)); });
    append_string_field(out, 3, signature_name.empty() ? kDefaultSignature : signature_name);
  });
}

bool parse_input(std::string_view message, StatusOr<Tensor>& examples) {
  // ExampleList and ExampleListWithContext share their field 1.
  MessageField list;
  uint32_t kind = 0;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1) && !field.is_bytes(2)) continue;
    if (field.number != kind) list = MessageField();
    kind = field.number;
    list.add(field.bytes);
  }
  if (reader.malformed()) return false;
  std::vector<std::string_view> pieces;
  MessageField context;
  WireReader items(list.bytes());
  while (items.next(field)) {
    if (field.is_bytes(1)) pieces.push_back(field.bytes);
    if (field.is_bytes(2) && kind == 2) context.add(field.bytes);
  }
  if (items.malformed()) return false;
  examples = examples_tensor(pieces, context.bytes());
  return true;
}

StatusOr<InferenceRequest> parse_inference_request(std::string_view message) {
  InferenceRequest request;
  MessageField spec;
  MessageField input;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) spec.add(field.bytes);
    if (field.is_bytes(2)) input.add(field.bytes);
  }
  request.has_spec = spec.present();
  if (reader.malformed() || !parse_model_spec(spec.bytes(), request.spec) ||
      !parse_input(input.bytes(), request.examples)) {
    return malformed("ClassificationRequest or RegressionRequest");
  }
  return request;
}

StatusOr<MultiInferenceRequest> parse_multi_inference_request(std::string_view message) {
  const auto parse_task = [](std::string_view bytes, InferenceTask& task) {
    MessageField spec;
    bool texts = true;
    WireReader reader(bytes);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(1)) spec.add(field.bytes);
      if (field.is_bytes(2)) texts &= read_text(field, task.method_name);
    }
    return texts && !reader.malformed() && parse_model_spec(spec.bytes(), task.spec);
  };
  MultiInferenceRequest request;
  MessageField input;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1) && !parse_task(field.bytes, request.tasks.emplace_back())) {
      return malformed("MultiInferenceRequest");
    }
    if (field.is_bytes(2)) input.add(field.bytes);
  }
  if (reader.malformed() || !parse_input(input.bytes(), request.examples)) {
    return malformed("MultiInferenceRequest");
  }
  return request;
}

void append_result(std::string& out, uint32_t number, const InferenceResult& result) {
  const int64_t batch = result.batch();
  const auto append_score = [&](uint32_t field, int64_t row, int64_t c) {
    append_fixed32_field(out, field, std::bit_cast<uint32_t>(result.score(row, c)));
  };
  append_message(out, number, [&] {
    for (int64_t row = 0; row < batch; ++row) {
      append_message(out, 1, [&] {  // Regression or Classifications
        if (result.method == InferenceMethod::kRegress) return append_score(1, row, 0);
        for (int64_t c = 0; c < result.num_classes(); ++c) {
          append_message(out, 1, [&] {  // Class
            append_string_field(out, 1, result.label(row, c));
            append_score(2, row, c);
          });
        }
      });
    }
  });
}

}  // namespace tenon::serving
