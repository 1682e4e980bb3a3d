// `tenon convert --to tflite`.
#pragma once

#include "tenon/base/status.h"

namespace tenon::cli {

struct ConvertLiteFlags {
  std::string model;           // a SavedModel, FILE.keras, FILE.h5
  std::string output;          // empty: the model's name, as .tflite
  std::string quantize;        // "", "float16", "dynamic", "int8", "int16x8"
  std::string representative;  // DATA.npz
  bool overwrite = false;
  bool json = false;
};

// After start_engine(). Prints where the file is, and what quantisation did to each layer.
Status convert_to_lite(const ConvertLiteFlags& flags);

}  // namespace tenon::cli
