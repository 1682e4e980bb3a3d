// A GraphDef that says more, or less, of the shapes of what is fed to it.
#pragma once

#include "tenon/saved_model/saved_model.h"
#include "tests/differential/settings.h"

namespace tenon::differential {

struct FedTensor {
  std::string name;  // "serving_default_x:0"
  Shape shape;
};

// What `known` leaves of `shape`.
PartialShape known_part(const Shape& shape, Known known);

// A copy of the model's graph whose placeholders `fed` declare what `known` leaves of their shapes.
// What exporters note of other values (`_output_shapes`) goes, so that nothing else tells.
StatusOr<std::shared_ptr<const GraphView>> with_known_shapes(const SavedModel& model,
                                                             const std::vector<FedTensor>& fed,
                                                             Known known);

}  // namespace tenon::differential
