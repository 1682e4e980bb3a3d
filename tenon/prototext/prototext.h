// Protobuf's text format (.pbtxt) of models, read by protobuf: a TextFormatReader
// (tenon/saved_model/other_formats.h).
#pragma once

#include "tenon/saved_model/other_formats.h"

namespace tenon {

// INVALID_ARGUMENT tells line and column of what is wrong. Thread-safe.
StatusOr<std::string> read_text_message(TextMessage message, const std::string& text);

}  // namespace tenon
