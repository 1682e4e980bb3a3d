// An image from its declaration, lock and host files, without root, daemon or container engine.
#pragma once

#include "tenon/image/build/model.h"
#include "tenon/image/oci/blobs.h"

namespace tenon::image {

// --from IMAGE --copy SOURCE[:TARGET]: files of another image in a layer of their own.
struct CopyFromImage {
  std::string image;           // layout folder or tar
  std::string source, target;  // absolute paths; a folder is copied with its content
};

struct BuildOptions {
  LayerInputs inputs;
  std::vector<CopyFromImage> copies;
  std::string model_path;  // a SavedModel, or a folder of its versions, for a layer "model"
  std::string model_name;  // default: the folder's name
  std::map<std::string, std::string> environment, labels;  // over the declaration's
  // Names of the image: "REPOSITORY:TAG", or a tag of `repository`. Empty: the newest version of
  // the model, or else the declaration's tags. `repository` empty: the model's name, the
  // declaration's, or "tenon".
  std::vector<std::string> tags;
  std::string repository;
  std::string program_version;      // of Tenon, in annotations
  std::vector<Platform> platforms;  // empty: all of the declaration
  std::string compression;          // "gzip" or "zstd", over the declaration's; empty: that
  // Replays the golden records of a SavedModel that is baked in, as its layer holds it; empty: not
  // asked.
  std::function<Status(const std::string& version_folder)> verify_model;
};

struct BuiltLayer {
  std::string name;
  Descriptor descriptor;
  std::string diff_id;
};

struct BuiltImage {
  Platform platform;
  Descriptor manifest;
  std::vector<BuiltLayer> layers;
};

struct BuildResult {
  OutputIndex output;
  Descriptor top;  // the manifest, or the index of several platforms
  std::vector<BuiltImage> images;
  std::vector<std::string> tags;         // full names in the output
  std::vector<std::string> moving_tags;  // further ones, for the ledger only
};

// Fills `blobs`; write_output() then makes the file or folder. The result depends on the arguments'
// content alone: not on time, time zone, locale, umask, user, host paths or threads.
StatusOr<BuildResult> build_image(const Declaration& declaration, const Lock& lock,
                                  const Store& store, const BuildOptions& options,
                                  BlobFolder& blobs);

}  // namespace tenon::image
