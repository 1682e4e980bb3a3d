// tensorflow.AttrValue on the wire: the values of nodes' attributes to bytes and back.
#pragma once

#include "tenon/core/attributes.h"

namespace tenon {

// INVALID_ARGUMENT for malformed bytes, unknown dtypes, impossible shapes and functions whose
// attributes nest too deep; UNIMPLEMENTED for a placeholder (a function's own attribute).
// Attributes of functions whose name starts with '_', hints to TensorFlow's runtime, are left out.
StatusOr<AttrValue> parse_attr(std::string_view message);

// Appends the fields of the message.
void append_attr(std::string& out, const AttrValue& value);

// An entry of a map<string, AttrValue>, as field `number`.
void append_attr_entry(std::string& out, uint32_t number, std::string_view name,
                       const AttrValue& value);

}  // namespace tenon
