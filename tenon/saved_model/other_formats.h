// Models in formats that the engine does not read itself: protobuf's text format (.pbtxt), which
// takes protobuf, and TensorFlow Lite's (.tflite). A program that wants such files says who turns
// them into the wire format, before the first model is loaded.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

enum class TextMessage : uint8_t { kSavedModel, kMetaGraph, kGraph };

// The wire format of a message in text format. INVALID_ARGUMENT tells what is wrong with the text.
// Called from any thread.
using TextFormatReader = StatusOr<std::string> (*)(TextMessage message, const std::string& text);

void set_text_format_reader(TextFormatReader reader);

// UNIMPLEMENTED where no reader is set.
StatusOr<std::string> wire_of_text(TextMessage message, const std::string& text);

// The wire format of a SavedModel message for the `.tflite` in `bytes`. Called from any thread.
using LiteReader = StatusOr<std::string> (*)(std::string bytes);

void set_lite_reader(LiteReader reader);

// UNIMPLEMENTED where no reader is set.
StatusOr<std::string> saved_model_of_lite(std::string bytes);

// The `.tflite` that `path` means: `path` itself, a file of that ending, or `path`/model.tflite.
// Empty where it is neither.
std::string lite_file(const std::string& path);

}  // namespace tenon
