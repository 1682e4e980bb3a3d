#include "tenon/image/registry/registry.h"

#include <httplib.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tenon/image/archive/sha256.h"

namespace tenon::image {
namespace {

TEST(Reference, PartsAreReadAndOddOnesRefused) {
  const auto reference = parse_reference("127.0.0.1:5000/a/b:1.0");
  ASSERT_TRUE(reference.ok());
  EXPECT_EQ(reference->host, "127.0.0.1:5000");
  EXPECT_EQ(reference->repository, "a/b");
  EXPECT_EQ(reference->tag, "1.0");
  const char* kBad[] = {"/a:1",       "h/A:1",    "h/a:",     "h/a@md5:00", "h/../a b:1",
                        "u@h/a:1",    "h.x/.a",   "h.x/a-:1", "h.x/a:-1",   "h.x/a..b:1",
                        "h.x/a___b",  "h.x:0/a",  "h.x:b/a",  "h.x?y/a:1",  "h.x#y.z/a",
                        "[::1/a:1",   "h.x/a//b", "A:1",      "",           ":1",
                        "h.x/a:1:2/", "h.x\\y/a", "../x:1",   "./x:1",      "h..x/a:1",
                        "h.x./a:1",   "-h.x/a:1", "h-.x/a:1", "h_x.y/a"};
  for (const char* bad : kBad) EXPECT_FALSE(parse_reference(bad).ok()) << bad;
}

// As `docker pull` and `podman pull` take them (the distribution library's reference grammar).
TEST(Reference, ShortNamesAreDockerHubs) {
  struct {
    const char *text, *host, *repository, *tag, *api;
  } const kRows[] = {
      {"debian", "docker.io", "library/debian", "", "registry-1.docker.io"},
      {"debian:12", "docker.io", "library/debian", "12", "registry-1.docker.io"},
      {"user/app:1", "docker.io", "user/app", "1", "registry-1.docker.io"},
      {"docker.io/debian:12", "docker.io", "library/debian", "12", "registry-1.docker.io"},
      {"docker.io/library/debian:12", "docker.io", "library/debian", "12", "registry-1.docker.io"},
      {"index.docker.io/user/app:1", "docker.io", "user/app", "1", "registry-1.docker.io"},
      {"registry-1.docker.io/a/b:1", "docker.io", "a/b", "1", "registry-1.docker.io"},
      {"localhost/app:1", "localhost", "app", "1", "localhost"},
      {"R.Example:5000/app:1", "r.example:5000", "app", "1", "r.example:5000"},
      {"[::1]:5000/app", "[::1]:5000", "app", "", "[::1]:5000"},
      {"r.example/a__b/c--d:1", "r.example", "a__b/c--d", "1", "r.example"},
  };
  for (const auto& row : kRows) {
    const auto reference = parse_reference(row.text);
    ASSERT_TRUE(reference.ok()) << row.text << ": " << reference.status();
    EXPECT_EQ(reference->host, row.host) << row.text;
    EXPECT_EQ(reference->repository, row.repository) << row.text;
    EXPECT_EQ(reference->tag, row.tag) << row.text;
    EXPECT_EQ(reference->api_host(), row.api) << row.text;
  }
}

// A registry that asks for a bearer token and fails on demand. The real one is in
// tests/image/registry.sh.
class FaultyRegistry {
 public:
  FaultyRegistry() {
    server_.Get("/token", [this](const httplib::Request& in, httplib::Response& out) {
      token_credentials_ = in.get_header_value("Authorization");
      out.set_content("{\"token\":\"t\"}", "application/json");
    });
    const auto handle = [this](const httplib::Request& in, httplib::Response& out) {
      const std::lock_guard<std::mutex> lock(mutex_);
      answer(in, out);
    };
    server_.Get("/v2/.*", handle);
    server_.Post("/v2/.*", handle);
    server_.Put("/v2/.*", handle);
    server_.Patch("/v2/.*", handle);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~FaultyRegistry() {
    server_.stop();
    thread_.join();
  }
  std::string host() const { return cat("127.0.0.1:", port_); }

  std::map<std::string, std::string> blobs, manifests;
  std::string token_credentials_;
  int patches = 0;
  int fail_patch = 0;          // the n-th PATCH takes half of its bytes and answers 500
  bool forget_upload = false;  // after the failing PATCH, as a restarted registry may
  bool damage_blobs = false;

 private:
  void answer(const httplib::Request& in, httplib::Response& out) {
    if (in.get_header_value("Authorization") != "Bearer t") {
      out.status = 401;
      out.set_header("WWW-Authenticate",
                     cat("Bearer realm=\"http://", host(), "/token\",service=\"s\""));
      return;
    }
    const std::string name = in.path.substr(in.path.rfind('/') + 1);
    if (in.path.find("/uploads/") != std::string::npos) return answer_upload(in, out);
    if (in.path.find("/referrers/") != std::string::npos) {
      out.status = 404;
      return;
    }
    auto& table = in.path.find("/blobs/") != std::string::npos ? blobs : manifests;
    if (in.method == "PUT") {
      table[name] = in.body;
      table[cat("sha256:", sha256_hex(in.body))] = in.body;
      out.status = 201;
      return;
    }
    const auto found = table.find(name);
    if (found == table.end()) {
      out.status = 404;
      return;
    }
    std::string body = found->second;
    if (damage_blobs && &table == &blobs && in.method == "GET") body[0] ^= 1;
    out.set_content(body, "application/vnd.oci.image.manifest.v1+json");
  }
  void answer_upload(const httplib::Request& in, httplib::Response& out) {
    out.set_header("Location", "/v2/r/blobs/uploads/1");
    if (in.method == "POST") {
      upload_.clear();
      forgotten_ = false;
      out.status = 202;
    } else if (forgotten_) {
      out.status = 404;
    } else if (in.method == "PATCH") {
      const bool fail = ++patches == fail_patch;
      upload_ += fail ? in.body.substr(0, in.body.size() / 2) : in.body;
      out.status = fail ? 500 : 202;
      forgotten_ = fail && forget_upload;
    } else if (in.method == "GET") {
      out.status = 204;
      out.set_header("Range", cat("0-", upload_.size() - 1));
    } else {
      const std::string digest = in.get_param_value("digest");
      const bool right = digest == cat("sha256:", sha256_hex(upload_));
      if (right) blobs[digest] = upload_;
      out.status = right ? 201 : 400;
    }
  }

  httplib::Server server_;
  std::mutex mutex_;
  std::thread thread_;
  std::string upload_;
  bool forgotten_ = false;
  int port_ = 0;
};

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.emplace(*TemporaryDirectory::create());
    const auto blobs = BlobFolder::create(path("image"));
    std::string diff_id;
    std::string layer(2'500'000, '\0');
    uint32_t state = 7;
    for (char& c : layer) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    Manifest manifest;
    manifest.layers.push_back(*add_layer(
        **blobs, Compression::kNone, 1, [&](ByteSink& sink) { return sink.write(layer); },
        diff_id));
    ImageConfig config;
    config.platform = {"linux", "amd64", ""};
    config.diff_ids = {diff_id};
    manifest.config = *(*blobs)->add_text(kConfigType, write_config(config));
    OutputIndex output;
    output.index.manifests = {*(*blobs)->add_text(kManifestType, write_manifest(manifest))};
    ASSERT_TRUE(write_output(**blobs, output, path("image")).ok());
    options_.chunk_bytes = 400'000;
    options_.docker_config = path("config.json");
    ASSERT_TRUE(write_file(options_.docker_config,
                           cat("{\"auths\":{\"", registry_.host(), "\":{\"auth\":\"dTpw\"}}}"))
                    .ok());
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }
  StatusOr<TransferReport> push() {
    TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path("image")));
    TENON_ASSIGN_OR_RETURN(const auto target, parse_reference(cat(registry_.host(), "/r:1")));
    return push_image(*reader, target, options_);
  }
  StatusOr<TransferReport> pull() {
    TENON_ASSIGN_OR_RETURN(const auto source, parse_reference(cat(registry_.host(), "/r:1")));
    return pull_image(source, path("pulled.tar"), options_);
  }

  FaultyRegistry registry_;
  std::optional<TemporaryDirectory> folder_;
  RegistryOptions options_;
};

TEST_F(RegistryTest, AnImageGoesUpInChunksAndComesBackEqual) {
  const auto pushed = push();
  ASSERT_TRUE(pushed.ok()) << pushed.status();
  EXPECT_EQ(pushed->blobs_sent, 2);
  EXPECT_GE(registry_.patches, 7);
  EXPECT_EQ(registry_.token_credentials_, "Basic dTpw");
  const auto pulled = pull();
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(pulled->digest, pushed->digest);
  const auto reader = ImageReader::open(path("pulled.tar"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(check_blobs(**reader, *find_image(**reader, nullptr)).ok());
  const auto again = push();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->blobs_present, 2);
}

TEST_F(RegistryTest, AnInterruptedChunkIsResumedWhereItStopped) {
  registry_.fail_patch = 3;
  const auto pushed = push();
  ASSERT_TRUE(pushed.ok()) << pushed.status();
  EXPECT_EQ(pushed->resumed, 1);
  EXPECT_TRUE(pull().ok());
}

TEST_F(RegistryTest, AForgottenUploadStartsAgain) {
  registry_.fail_patch = 3;
  registry_.forget_upload = true;
  const auto pushed = push();
  ASSERT_TRUE(pushed.ok()) << pushed.status();
  EXPECT_EQ(pushed->resumed, 1);
  EXPECT_TRUE(pull().ok());
}

TEST_F(RegistryTest, DamagedBlobsLeaveNothing) {
  ASSERT_TRUE(push().ok());
  registry_.damage_blobs = true;
  EXPECT_EQ(pull().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(*list_directory(folder_->path()), (std::vector<std::string>{"config.json", "image"}));
}

TEST_F(RegistryTest, AMissingImageIsNamed) {
  const Status status = pull().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(message_of(status).find("/r 1"), std::string_view::npos) << status;
}

}  // namespace
}  // namespace tenon::image
