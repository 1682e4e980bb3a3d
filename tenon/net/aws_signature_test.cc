// Outside truth: the examples of Amazon's "Signature Calculations for the Authorization Header".
#include "tenon/net/aws_signature.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

std::string signature_of(const AwsRequest& request) {
  const AwsCredentials credentials = {"AKIAIOSFODNN7EXAMPLE",
                                      "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  constexpr int64_t kMay24Of2013 = 1369353600;
  const auto headers = aws_signed_headers(request, credentials, "us-east-1", kMay24Of2013);
  const std::string& text = headers.at("authorization");
  return text.substr(text.rfind('=') + 1);
}

TEST(AwsSignature, IsAmazonsOfAnObject) {
  AwsRequest request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = "/test.txt";
  request.headers["range"] = "bytes=0-9";
  EXPECT_EQ(signature_of(request),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(AwsSignature, IsAmazonsOfAListing) {
  AwsRequest request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = "/";
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature_of(request),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(AwsSignature, IsAmazonsOfAQueryWithoutValue) {
  AwsRequest request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = "/";
  request.query = {{"lifecycle", ""}};
  EXPECT_EQ(signature_of(request),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

}  // namespace
}  // namespace tenon::net
