// Image formats against bytes that are no image. What images look like: TensorFlow's cases
// (saved_model/reference_cases_test.cc).
#include "tenon/ops/image/codec.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

Tensor made_up_image(int64_t height, int64_t width, int64_t channels) {
  Tensor image(DType::kUint8, Shape{height, width, channels});
  for (int64_t i = 0; i < image.num_elements(); ++i) {
    image.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37 + i / 11);
  }
  return image;
}

// PNG loses nothing.
TEST(Codec, PngGivesBackWhatItWasMadeOf) {
  for (int64_t channels = 1; channels <= 4; ++channels) {
    const Tensor image = made_up_image(5, 7, channels);
    const auto bytes = encode_png(image, -1);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(image_format(*bytes), ImageFormat::kPng);
    const auto back = decode_png(*bytes, 0, false);
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(back->shape(), image.shape());
    EXPECT_TRUE(std::equal(image.span<uint8_t>().begin(), image.span<uint8_t>().end(),
                           back->data<uint8_t>()));
  }
}

TEST(Codec, JpegTellsItsSize) {
  const auto bytes = encode_jpeg(made_up_image(9, 13, 3), {});
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto size = jpeg_size(*bytes);
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(size->height, 9);
  EXPECT_EQ(size->width, 13);
  EXPECT_EQ(size->channels, 3);
}

// Cut off anywhere, or with any byte changed: an image or an error, nothing else.
TEST(Codec, TakesAnyBytes) {
  const auto png = encode_png(made_up_image(6, 5, 3), 1);
  const auto jpeg = encode_jpeg(made_up_image(9, 10, 3), {});
  ASSERT_TRUE(png.ok() && jpeg.ok());
  // A GIF of one pixel and a BMP of two, byte by byte from their formats' descriptions.
  const std::string gif(
      "GIF89a\x01\0\x01\0\x80\0\0\xFF\xFF\xFF\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02"
      "D\x01\0;",
      35);
  std::string bmp(62, '\0');
  bmp[0] = 'B';
  bmp[1] = 'M';
  bmp[10] = 54;
  bmp[18] = 2;
  bmp[22] = 1;
  bmp[28] = 24;
  const auto decode_all = [](const std::string& bytes) {
    static_cast<void>(decode_png(bytes, 0, true));
    static_cast<void>(decode_jpeg(bytes, {}));
    static_cast<void>(decode_gif(bytes, false));
    static_cast<void>(decode_bmp(bytes, 0));
  };
  EXPECT_TRUE(decode_gif(gif, false).ok());
  EXPECT_TRUE(decode_bmp(bmp, 0).ok());
  for (const std::string& bytes : {*png, *jpeg, gif, bmp}) {
    for (size_t length = 0; length < bytes.size(); ++length) decode_all(bytes.substr(0, length));
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0x15);
      decode_all(changed);
    }
  }
  EXPECT_FALSE(decode_png(png->substr(0, png->size() / 2), 0, false).ok());
  EXPECT_FALSE(decode_jpeg(jpeg->substr(0, jpeg->size() / 2), {}).ok());
}

}  // namespace
}  // namespace tenon
