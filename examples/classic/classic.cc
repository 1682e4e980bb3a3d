#include <cstdio>

#include "tenon/data/files.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/model.h"
#include "tenon/ops/register_all.h"

namespace tenon::keras {

Status train(const std::string& file) {
  TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  TENON_ASSIGN_OR_RETURN(const data::Table digits, data::read_table(file));
  Sequential model({Input({64}), Dense({.units = 128, .activation = "relu"}),
                    Dense({.units = 10, .activation = "softmax"})});
  TENON_RETURN_IF_ERROR(model.compile(
      {.optimizer = "adam", .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}}));
  return model.fit({digits.x}, digits.y, {.batch_size = 64, .epochs = 5}).status();
}

}  // namespace tenon::keras

int main(int argc, char** argv) {
  const tenon::Status status =
      tenon::keras::train(argc > 1 ? argv[1] : "examples/digits/train.csv");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
