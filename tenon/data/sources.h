// What the elements of a pipeline come from, beside tensors (dataset.h) and the files that are read
// as a whole (files.h): numbers, functions, lines of text, records, tf.Examples, images.
//
// Files are opened when a pass reaches them. gzip is found by content. Messages about damaged files
// name the file and the byte.
#pragma once

#include "tenon/data/dataset.h"
#include "tenon/data/files.h"

namespace tenon::data {

// int64 scalars begin, begin + step, ... as long as they are before `end`; empty for step 0.
DatasetPtr range(int64_t begin, int64_t end, int64_t step = 1);

// One element.
DatasetPtr single(Element element);

// Gives the next element; false at the end.
using Generator = std::function<StatusOr<bool>(Element& element)>;

// Each pass calls `start` for a function of its own, which is then called by one thread at a time.
// Equal epochs must give equal elements. `size`: how many, where that is known.
DatasetPtr from_generator(std::function<StatusOr<Generator>(uint64_t epoch)> start,
                          int64_t size = -1);

// The lines of the files one after the other, string scalars without their ends. As in tf.data a
// carriage return is dropped wherever it stands.
DatasetPtr text_lines(std::vector<std::string> paths);

// The records of TFRecord files (plain, gzip or zlib), string scalars.
DatasetPtr tf_records(std::vector<std::string> paths);

// A feature of tf.Examples, as a component of the elements.
struct FeatureSpec {
  std::string name;
  DType dtype = DType::kFloat;  // kFloat, kInt64 or kString
  PartialShape shape;           // the first dimension may be unknown: as many as there are
  Tensor default_value = {};    // of examples that lack it; no value: they are an error
};
using Schema = std::vector<FeatureSpec>;

// The features of a serialized tf.Example by `schema`, as tf.io.parse_single_example gives them.
// INVALID_ARGUMENT for malformed bytes and for what the schema does not say.
StatusOr<Element> parse_example(std::string_view example, const Schema& schema);

// The tf.Examples of TFRecord files.
DatasetPtr tf_examples(std::vector<std::string> paths, Schema schema);

// The schema that the first `most` examples have: features by name, in order; [] where each holds
// one value, [n] where n, [?] where they differ or some lack it. INVALID_ARGUMENT where a feature
// has two types, and when there are no examples.
StatusOr<Schema> infer_schema(const std::vector<std::string>& paths, int64_t most = 1000);

// A folder of images as Keras' image_dataset_from_directory reads it: one folder a class, sorted;
// in them .bmp, .gif, .jpeg, .jpg and .png, below them too. Without folders, images without labels.
struct ImageFiles {
  std::vector<std::string> paths;
  std::vector<std::string> classes;  // the folders' names; empty when there are no labels
  std::vector<int64_t> labels;       // of each path: the number of its class
};

// `classes`: those of a trained model, each the name of a folder that may be missing; empty: all
// folders. INVALID_ARGUMENT when there are no images, and for a folder that is no class.
StatusOr<ImageFiles> list_images(const std::string& folder,
                                 std::span<const std::string> classes = {});

// The image in a file's bytes: uint8 [height, width, channels] as it is, or float32 resized as
// Keras resizes (bilinear); of an animation its first frame.
StatusOr<Tensor> decode_image(std::string_view bytes, const ImageOptions& options);

// {image, int64 label} of each file, or {image}; decoded on `threads` threads.
DatasetPtr images(ImageFiles files, ImageOptions options, int threads = 1);

}  // namespace tenon::data
