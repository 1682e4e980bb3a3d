// The configuration of an image: a declaration's settings over what its base gives, and whether the
// files bear them out.
#pragma once

#include "tenon/image/build/build.h"

namespace tenon::image {

// What a build knows of the model in an image; `model` null: none.
struct ModelFacts {
  const ModelSource* model = nullptr;
  std::string digest;     // the diff_id of its layer
  bool replayed = false;  // its golden records
};

// Labels of a base image that speak of the base alone are dropped. The model's facts become the
// labels dev.tenon.model.{name,version,digest,golden} and its name the image's title.
void apply_settings(const Declaration& declaration, const BuildOptions& options,
                    const ModelFacts& facts, ImageConfig& config);

// The user must be a number or in etc/passwd (the group in etc/group), and the program that starts
// must be an executable file. FAILED_PRECONDITION names what is missing.
Status check_config(const ImageConfig& config, const Tree& files);

// The names of an image: --tag, else NAME:NEWEST VERSION of its model, else the declaration's tags
// under --name or its own repository. The archive holds one name (all of --tag's); the rest are for
// the ledger.
Status choose_names(const Declaration& declaration, const BuildOptions& options,
                    const ModelSource* model, BuildResult& result);

}  // namespace tenon::image
