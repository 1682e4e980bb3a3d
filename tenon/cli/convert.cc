#include "tenon/cli/flags.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

constexpr Usage kConvertUsage = {
    .verb = "convert",
    .what =
        "Turns models of foreign formats into SavedModels. This version reads none of them yet "
        "and says what\ncan be done instead.",
    .example = "tenon convert model.pb --export_dir model/1",
    .operands = "FILE"};

constexpr struct {
  std::string_view ending;
  std::string_view format;
  std::string_view instead;
} kForeign[] = {
    {".keras", "Keras 3 files", "`tenon export --model FILE.keras --export_dir DIR/1` takes them"},
    {".pb", "frozen GraphDefs", "save the model as a SavedModel (tf.saved_model.save)"},
    {".pbtxt", "GraphDefs as text", "save the model as a SavedModel (tf.saved_model.save)"},
    {".h5", "Keras 2 files", "load and save them with Keras 3 as FILE.keras"},
    {".hdf5", "Keras 2 files", "load and save them with Keras 3 as FILE.keras"},
    {".tflite", "TensorFlow Lite models", "export the model they were made from"},
    {".index", "bare checkpoints", "they hold no graph: save the model as a SavedModel"},
};

Status convert(const Operands& files) {
  if (files.size() != 1) return wrong_usage("tenon convert takes one FILE");
  for (const auto& foreign : kForeign) {
    if (!files[0].ends_with(foreign.ending)) continue;
    return unimplemented("'", files[0], "': ", foreign.format, " are not converted; ",
                         foreign.instead);
  }
  return invalid_argument("'", files[0], "' has no ending that names a model format");
}

}  // namespace

int convert_command(Words words) {
  std::string export_dir;
  const Flag flags[] = {{"export_dir", &export_dir, "DIR/1", "the SavedModel's version folder"}};
  return run_verb(kConvertUsage, flags, words,
                  [](const Operands& files) { return convert(files); });
}

}  // namespace tenon::cli
