// Asks a server of the digits' model about one image by gRPC, as any TensorFlow Serving client
// would, and draws the image beside the answer.
//   digits_ask HOST:PORT 0,0,5,13,...   (64 pixels of 0 to 16)

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace {

constexpr int kSide = 8;
using Image = std::array<float, kSide * kSide>;

std::optional<Image> parse_pixels(std::string_view text) {
  Image image{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (float& pixel : image) {
    const auto [next, error] = std::from_chars(at, end, pixel);
    if (error != std::errc()) return std::nullopt;
    at = next < end && *next == ',' ? next + 1 : next;
  }
  return at == end ? std::optional(image) : std::nullopt;
}

// Two characters a pixel, as dark as the pixel.
void print_row(const Image& image, int row) {
  constexpr std::array<const char*, 5> kShades = {"  ", "░░", "▒▒", "▓▓", "██"};
  for (int column = 0; column < kSide; ++column) {
    const float shade = std::clamp(image[row * kSide + column] / 16, 0.0f, 1.0f);
    std::fputs(kShades[static_cast<size_t>(shade * 4 + 0.5f)], stdout);
  }
}

void print_answer(const Image& image, const tensorflow::TensorProto& probabilities) {
  for (int row = 0; row < kSide; ++row) {
    std::fputs("  ", stdout);
    print_row(image, row);
    const int digit = row - 1;
    if (digit >= 0 && digit < 5) {
      for (int d : {digit, digit + 5}) {
        std::printf("   %d %5.1f %%", d, 100.0 * probabilities.float_val(d));
      }
    }
    std::fputc('\n', stdout);
  }
  const auto& values = probabilities.float_val();
  std::printf("by gRPC: it is a %d\n",
              static_cast<int>(std::max_element(values.begin(), values.end()) - values.begin()));
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Image> image = argc == 3 ? parse_pixels(argv[2]) : std::nullopt;
  if (!image) {
    std::fputs("usage: digits_ask HOST:PORT PIXELS (64 numbers, separated by commas)\n", stderr);
    return 2;
  }
  tensorflow::serving::PredictRequest request;
  request.mutable_model_spec()->set_name("digits");
  tensorflow::TensorProto& pixels = (*request.mutable_inputs())["pixels"];
  pixels.set_dtype(tensorflow::DT_FLOAT);
  pixels.mutable_tensor_shape()->add_dim()->set_size(1);
  pixels.mutable_tensor_shape()->add_dim()->set_size(image->size());
  pixels.mutable_float_val()->Add(image->begin(), image->end());

  const auto stub = tensorflow::serving::PredictionService::NewStub(
      grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  tensorflow::serving::PredictResponse response;
  const grpc::Status status = stub->Predict(&context, request, &response);
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s\n", status.error_message().c_str());
    return 1;
  }
  if (response.outputs_size() != 1 || response.outputs().begin()->second.float_val_size() != 10) {
    std::fputs("error: expected one output of ten probabilities\n", stderr);
    return 1;
  }
  print_answer(*image, response.outputs().begin()->second);
  return 0;
}
