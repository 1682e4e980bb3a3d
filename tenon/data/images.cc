// Folders of images.
#include <sys/stat.h>

#include "tenon/base/files.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/sources.h"
#include "tenon/data/transforms.h"
#include "tenon/ops/image/codec.h"
#include "tenon/ops/image/resize.h"

namespace tenon::data {

namespace {

constexpr std::string_view kImageSuffixes[] = {".bmp", ".gif", ".jpeg", ".jpg", ".png"};
constexpr int kDeepest = 32;

bool is_image_name(std::string_view name) {
  const std::string lower = to_lower(name);
  return std::any_of(std::begin(kImageSuffixes), std::end(kImageSuffixes),
                     [&](std::string_view suffix) { return lower.ends_with(suffix); });
}

// As os.walk goes: folders behind symbolic links are not entered.
bool is_own_folder(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Images of `folder`, and then of the folders in it.
Status walk(const std::string& folder, int depth, std::vector<std::string>& paths) {
  if (depth > kDeepest) return invalid_argument("'", folder, "' is ", depth, " folders deep");
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
  for (const std::string& name : names) {
    const std::string path = join_path(folder, name);
    if (is_image_name(name) && !is_directory(path)) paths.push_back(path);
  }
  for (const std::string& name : names) {
    const std::string path = join_path(folder, name);
    if (is_own_folder(path)) TENON_RETURN_IF_ERROR(walk(path, depth + 1, paths));
  }
  return absl::OkStatus();
}

// Bilinear with half-pixel centres, as tf.image.resize; uint8 [h, w, c] to float32.
StatusOr<Tensor> resize_image(const Tensor& image, int64_t height, int64_t width) {
  ResizeGeometry g;
  g.batch = 1;
  g.channels = image.dim(2);
  g.in_rows = image.dim(0);
  g.in_columns = image.dim(1);
  g.out_rows = height;
  g.out_columns = width;
  g.row_scale = static_cast<float>(g.in_rows) / static_cast<float>(height);
  g.column_scale = static_cast<float>(g.in_columns) / static_cast<float>(width);
  g.half_pixel_centers = true;
  TENON_ASSIGN_OR_RETURN(Tensor resized,
                         Tensor::allocate(DType::kFloat, Shape{height, width, g.channels}));
  const std::vector<Interpolation> columns = bilinear_interpolation(g, false);
  float* y = resized.mutable_data<float>();
  const int64_t line = g.in_columns * g.channels;
  for (const Interpolation& row : bilinear_interpolation(g, true)) {
    const uint8_t* top = image.data<uint8_t>() + row.lower * line;
    const uint8_t* bottom = image.data<uint8_t>() + row.upper * line;
    for (const Interpolation& column : columns) {
      for (int64_t c = 0; c < g.channels; ++c) {
        const auto at = [&](const uint8_t* from, int64_t place) {
          return static_cast<float>(from[place * g.channels + c]);
        };
        const float above =
            at(top, column.lower) + (at(top, column.upper) - at(top, column.lower)) * column.weight;
        const float below = at(bottom, column.lower) +
                            (at(bottom, column.upper) - at(bottom, column.lower)) * column.weight;
        *y++ = above + (below - above) * row.weight;
      }
    }
  }
  return resized;
}

StatusOr<Tensor> decode_pixels(std::string_view bytes, int channels) {
  switch (image_format(bytes)) {
    case ImageFormat::kJpeg:
      if (channels == 4) return invalid_argument("a JPEG image has no fourth channel");
      return decode_jpeg(bytes, {.channels = channels});
    case ImageFormat::kPng:
      return decode_png(bytes, channels, false);
    case ImageFormat::kGif: {
      if (channels != 3) return invalid_argument("a GIF image has 3 channels, not ", channels);
      TENON_ASSIGN_OR_RETURN(const Tensor frames, decode_gif(bytes, true));
      return frames.reshaped(Shape(frames.shape().dims().subspan(1)));
    }
    case ImageFormat::kBmp:
      if (channels == 1) return invalid_argument("a BMP image has 3 or 4 channels, not 1");
      return decode_bmp(bytes, channels);
    default:
      return invalid_argument("this is no JPEG, PNG, GIF or BMP image");
  }
}

}  // namespace

StatusOr<Tensor> decode_image(std::string_view bytes, const ImageOptions& options) {
  TENON_ASSIGN_OR_RETURN(Tensor image, decode_pixels(bytes, options.channels));
  if (options.height == 0) return image;
  if (image.num_elements() == 0) return invalid_argument("the image is empty");
  return resize_image(image, options.height, options.width);
}

StatusOr<ImageFiles> list_images(const std::string& folder, std::span<const std::string> classes) {
  ImageFiles files;
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
  std::vector<std::string> folders;
  for (const std::string& name : names) {
    if (name[0] != '.' && is_directory(join_path(folder, name))) folders.push_back(name);
  }
  files.classes.assign(classes.begin(), classes.end());
  if (files.classes.empty()) files.classes = folders;
  if (folders.empty()) {
    files.classes.clear();
    TENON_RETURN_IF_ERROR(walk(folder, 0, files.paths));
  }
  for (const std::string& name : folders) {
    const auto at = std::find(files.classes.begin(), files.classes.end(), name);
    if (at == files.classes.end()) {
      return invalid_argument("'", folder, "': the folder '", name,
                              "' is no class of the model, which was trained on ",
                              join(files.classes, ", "));
    }
    TENON_RETURN_IF_ERROR(walk(join_path(folder, name), 1, files.paths));
    files.labels.resize(files.paths.size(), at - files.classes.begin());
  }
  if (files.paths.empty()) {
    return invalid_argument("'", folder,
                            "' holds no images; expected are folders, one a class, of ",
                            join(kImageSuffixes, ", "), " files");
  }
  return files;
}

DatasetPtr images(ImageFiles files, ImageOptions options, int threads) {
  const auto count = static_cast<int64_t>(files.paths.size());
  Element columns = {Tensor::strings(Shape{count}, files.paths)};
  if (files.labels.size() == files.paths.size() && count > 0) {
    columns.push_back(Tensor::vector<int64_t>(files.labels));
  }
  const auto read = [options](Element element) -> StatusOr<Element> {
    const std::string path(*element[0].data<std::string_view>());
    StatusOr<std::string> bytes = read_file(path);
    if (!bytes.ok()) return bytes.status();
    StatusOr<Tensor> image = decode_image(*bytes, options);
    if (!image.ok()) return with_context(image.status(), cat("'", path, "'"));
    element[0] = *std::move(image);
    return element;
  };
  // Columns of equal length are never refused.
  return map(*from_tensors(std::move(columns)), read, threads);
}

}  // namespace tenon::data
