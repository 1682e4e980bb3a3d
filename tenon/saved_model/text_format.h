// Protobuf's text format of models (.pbtxt). It takes protobuf to read it, which the engine does
// not link: a program that wants such files says who reads them.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

enum class TextMessage : uint8_t { kSavedModel, kMetaGraph, kGraph };

// The wire format of a message in text format. INVALID_ARGUMENT tells what is wrong with the text.
// Called from any thread.
using TextFormatReader = StatusOr<std::string> (*)(TextMessage message, const std::string& text);

// Before the first model is loaded.
void set_text_format_reader(TextFormatReader reader);

// UNIMPLEMENTED where no reader is set.
StatusOr<std::string> wire_of_text(TextMessage message, const std::string& text);

}  // namespace tenon
