// The inputs of `tenon run`: saved_model_cli's --inputs, --input_exprs and --input_examples.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tenon::cli {

struct InputFlags {
  std::string inputs;          // "x=a.npy;y=b.npz[key]"
  std::string input_exprs;     // "x=np.ones((2, 3));y=[1, 2]"
  std::string input_examples;  // "examples=[{'age': [22.0]}]"
};

// The arrays by name; expressions stand in for files of the same name, examples for both.
StatusOr<std::map<std::string, Tensor>> read_inputs(const InputFlags& flags);

// One tensor for each input of `signature`, of its dtype: the default where none is given.
// INVALID_ARGUMENT for a name that is no input, for an input that lacks a value, and for an array
// whose shape contradicts the signature's.
StatusOr<std::vector<Tensor>> match_inputs(const Signature& signature,
                                           const std::map<std::string, Tensor>& given);

// "x=a.npy;y=b.npz[key]" as arrays by name. `flag` stands in messages.
StatusOr<std::map<std::string, Tensor>> read_array_files(std::string_view text,
                                                         std::string_view flag);

}  // namespace tenon::cli
