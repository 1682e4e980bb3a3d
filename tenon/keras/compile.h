// Losses and metrics of several outputs, from what compile() is given (keras/src/trainers/
// compile_utils.py). Internal to keras/.
#pragma once

#include "tenon/keras/model.h"

namespace tenon::keras {

// One entry for each output. `json`: one loss for all, a list in the order of the outputs, or an
// object by their names. INVALID_ARGUMENT names the outputs where it fits none.
StatusOr<std::vector<OutputLoss>> losses_from_json(const Json& json,
                                                   std::span<const std::string> outputs);

// Null leaves them; else a number (one output), a list or an object of numbers.
Status set_loss_weights(const Json& json, std::span<const std::string> outputs,
                        std::vector<OutputLoss>& losses);

// The metrics of each output. Of one output all that stand in the list, however nested.
StatusOr<std::vector<std::vector<Json>>> metrics_of_outputs(const std::vector<Json>& metrics,
                                                            std::span<const std::string> outputs);

}  // namespace tenon::keras
