// Registries that lie, leak and loop: each row is one, and what must come of it. Everywhere:
// nothing is left of a pull that fails, and no credentials and no token are seen by another host
// than the registry's.
#include <httplib.h>

#include "tenon/image/registry/registry.h"
#include "tenon/image/testing/registry_world.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {
namespace {

using In = httplib::Request;
using Out = httplib::Response;
using Code = absl::StatusCode;
using World = RegistryWorld;

bool authorized(const In& in) { return in.has_header("Authorization"); }

// Answers the first, unauthorized request with a Bearer challenge of this realm.
bool realm(World&, const In& in, Out& out, const std::string& url) {
  return !authorized(in) && in.path.starts_with("/v2/") &&
         challenge(out, cat("Bearer realm=\"", url, "\",service=\"s\""));
}

std::string manifest_of(const World& w, const std::string& subject) {
  Manifest manifest;
  manifest.artifact_type = "application/x";
  manifest.config = {
      std::string(kConfigType), w.config_digest, "", w.blobs.at(w.config_digest).size(), {}, {}};
  if (!subject.empty())
    manifest.subject = Descriptor{std::string(kManifestType), subject, "", 2, {}, {}};
  return write_manifest(manifest);
}

std::string index_of(const std::vector<std::string>& texts, std::string_view type = kManifestType) {
  Index index;
  for (const std::string& text : texts) {
    index.manifests.push_back(
        {std::string(type), cat("sha256:", sha256_hex(text)), "", text.size(), {}, {}});
  }
  return write_index(index);
}

struct Row {
  const char* name;
  bool tls, push;
  Code code;
  const char* says;  // part of the message
  std::function<bool(World&, const In&, Out&)> lie;
  bool seen_elsewhere = false;  // the other hosts may be spoken to at all
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      // Where credentials go.
      {"a plain realm elsewhere, from TLS", true, false, Code::kFailedPrecondition, "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, w.other_plain.url() + "/token");
       }},
      {"a plain realm on the registry's own host, from TLS", true, false, Code::kFailedPrecondition,
       "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, cat("http://", w.registry.host(), "/token"));
       }},
      {"a realm on another host by TLS that nobody allowed", true, false, Code::kPermissionDenied,
       "--token_server",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out,
                      cat("https://localhost:", w.other_tls.host().substr(10), "/token"));
       }},
      {"a plain realm outside this machine, from plain", false, false, Code::kFailedPrecondition,
       "loopback",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, "http://auth.example.invalid/token");
       }},
      {"a realm whose name begins like a loopback address", false, false, Code::kFailedPrecondition,
       "loopback",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, "http://127.0.0.1.example.invalid/token");
       }},
      {"a realm with a user in it", true, false, Code::kInvalidArgument, "malformed host",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, cat("https://127.0.0.1@", w.other_tls.host(), "/token"));
       }},
      {"a realm that is a file", false, false, Code::kFailedPrecondition, "no web address",
       [](World& w, const In& in, Out& out) { return realm(w, in, out, "file:///etc/passwd"); }},
      {"a realm of another scheme", false, false, Code::kInvalidArgument, "not an http",
       [](World& w, const In& in, Out& out) { return realm(w, in, out, "gopher://x/token"); }},
      {"a realm with a fragment", true, false, Code::kInvalidArgument, "fragment",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, w.registry.url() + "/token#");
       }},
      {"a realm with a line break", true, false, Code::kInvalidArgument, "white space",
       [](World& w, const In& in, Out& out) {
         return realm(w, in, out, w.registry.url() + "/token\tX: y");
       }},
      {"a token server that redirects to plain", true, false, Code::kFailedPrecondition,
       "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return in.path == "/token" && redirect(out, w.other_plain.url() + "/token");
       }},
      {"a token server that redirects to another host: without the password", true, false,
       Code::kOk, "",
       [](World& w, const In& in, Out& out) {
         return in.path == "/token" && redirect(out, w.other_tls.url() + "/token");
       },
       true},
      {"no realm", false, false, Code::kInvalidArgument, "",
       [](World&, const In& in, Out& out) {
         return !authorized(in) && challenge(out, "Bearer service=\"s\"");
       }},
      {"an unknown kind of authentication", false, false, Code::kUnimplemented, "unknown kind",
       [](World&, const In&, Out& out) { return challenge(out, "Negotiate YII="); }},
      {"an empty challenge", false, false, Code::kPermissionDenied, "401",
       [](World&, const In&, Out& out) { return challenge(out, ""); }},
      {"a challenge without an end of its quotes", false, false, Code::kInvalidArgument, "",
       [](World&, const In&, Out& out) { return challenge(out, "Bearer realm=\"http://x"); }},
      {"a challenge again and again", false, false, Code::kPermissionDenied, "401",
       [](World& w, const In& in, Out& out) {
         return in.path != "/token" && challenge(out, w.challenge());
       }},
      {"a token with a line break", false, false, Code::kPermissionDenied, "fits into no header",
       [](World&, const In& in, Out& out) {
         return in.path == "/token" && say(out, "{\"token\":\"a\\r\\nX: y\"}", "application/json");
       }},
      {"no token", false, false, Code::kPermissionDenied, "gave no token",
       [](World&, const In& in, Out& out) {
         return in.path == "/token" && say(out, "[]", "application/json");
       }},
      {"a token server that fails", false, false, Code::kPermissionDenied, "403",
       [](World&, const In& in, Out& out) { return in.path == "/token" && (out.status = 403); }},
      // Redirects of what is fetched.
      {"a blob's redirect from TLS to plain", true, false, Code::kFailedPrecondition, "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && redirect(out, w.other_plain.url() + "/x");
       }},
      {"a blob's redirect to another host: without the token", true, false,
       Code::kFailedPrecondition, "HTTP 416",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && redirect(out, w.other_tls.url() + "/x");
       },
       true},
      {"a blob's redirect to another port of plain loopback: without the token", false, false,
       Code::kFailedPrecondition, "HTTP 416",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && redirect(out, w.other_plain.url() + "/x");
       },
       true},
      {"a manifest's redirect to a plain host outside", false, false, Code::kFailedPrecondition,
       "loopback",
       [](World&, const In& in, Out& out) {
         return is_manifest(in) && redirect(out, "http://cdn.example.invalid/m");
       }},
      {"a redirect to a file", false, false, Code::kFailedPrecondition, "no web address",
       [](World&, const In& in, Out& out) {
         return is_manifest(in) && redirect(out, "file:///etc/passwd");
       }},
      {"redirects without end", false, false, Code::kUnavailable, "redirects",
       [](World&, const In& in, Out& out) { return is_manifest(in) && redirect(out, in.path); }},
      {"a redirect to a header's injection", false, false, Code::kInvalidArgument, "white space",
       [](World&, const In& in, Out& out) { return is_manifest(in) && redirect(out, "/a b"); }},
      // Uploads.
      {"an upload's place by plain HTTP, from TLS", true, true, Code::kFailedPrecondition,
       "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return is_start(in) && authorized(in) && redirect(out, w.other_plain.url() + "/u", 202);
       }},
      {"an upload's place on a plain host outside", false, true, Code::kFailedPrecondition,
       "loopback",
       [](World&, const In& in, Out& out) {
         return is_start(in) && authorized(in) && redirect(out, "http://up.example.invalid/u", 202);
       }},
      {"an upload's next place by plain HTTP, from TLS", true, true, Code::kFailedPrecondition,
       "speaks TLS",
       [](World& w, const In& in, Out& out) {
         return in.method == "PATCH" && redirect(out, w.other_plain.url() + "/u", 202);
       }},
      {"an upload's place on another host: without the token", true, true,
       Code::kFailedPrecondition, "HTTP 200",
       [](World& w, const In& in, Out& out) {
         return is_start(in) && authorized(in) && redirect(out, w.other_tls.url() + "/u", 202);
       },
       true},
      {"an upload without a place", false, true, Code::kFailedPrecondition, "HTTP 202",
       [](World&, const In& in, Out& out) {
         return is_start(in) && authorized(in) && (out.status = 202);
       }},
      {"an upload that always stands at its start", false, true, Code::kFailedPrecondition, "416",
       [](World& w, const In& in, Out& out) {
         if (in.path.find("/uploads/1") == std::string::npos) return false;
         if (in.method == "PUT") return false;
         out.set_header("Location", "/v2/r/blobs/uploads/1");
         if (in.method == "GET") {
           out.status = 204;
           return true;
         }
         out.status = ++w.count % 2 == 0 ? 416 : 202;
         return true;
       }},
      {"an upload's range that is no range", false, true, Code::kDataLoss, "range",
       [](World&, const In& in, Out& out) {
         if (in.method == "PATCH") return (out.status = 416) != 0;
         if (in.method != "GET" || in.path.find("/uploads/1") == std::string::npos) return false;
         out.status = 204;
         out.set_header("Range", "0--5");
         return true;
       }},
      {"an upload's range past the blob", false, true, Code::kDataLoss, "",
       [](World&, const In& in, Out& out) {
         if (in.method == "PATCH") return (out.status = 416) != 0;
         if (in.method != "GET" || in.path.find("/uploads/1") == std::string::npos) return false;
         out.status = 204;
         out.set_header("Range", "0-9223372036854775807");
         return true;
       }},
      {"a manifest stored as another", false, true, Code::kDataLoss, "stored",
       [](World&, const In& in, Out& out) {
         if (in.method != "PUT" || in.path.find("/manifests/") == std::string::npos) return false;
         out.status = 201;
         out.set_header("Docker-Content-Digest", cat("sha256:", sha256_hex("other")));
         return true;
       }},
      // What is fetched is not what was named.
      {"another manifest for a digest", false, false, Code::kDataLoss, "answers",
       [](World& w, const In& in, Out& out) {
         if (is_manifest(in, "/1")) return say(out, index_of({"x"}), kIndexType);
         return is_manifest(in) && say(out, manifest_of(w, ""), kManifestType);
       }},
      {"another digest in the header than the manifest has", false, false, Code::kDataLoss, "says",
       [](World& w, const In& in, Out& out) {
         if (!is_manifest(in, "/1")) return false;
         out.set_header("Docker-Content-Digest", cat("sha256:", sha256_hex("other")));
         return say(out, w.manifests["1"], kManifestType);
       }},
      {"a blob with one other byte", false, false, Code::kDataLoss, "the registry gave",
       [](World& w, const In& in, Out& out) {
         if (!is_blob(in) || !in.path.ends_with(w.layer_digest)) return false;
         std::string body = w.blobs[w.layer_digest];
         body.back() ^= 1;
         return say(out, body, "x/y");
       }},
      {"a blob that is longer than due", false, false, Code::kDataLoss, "more than",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && in.path.ends_with(w.layer_digest) &&
                say(out, w.blobs[w.layer_digest] + "x", "x/y");
       }},
      {"a blob that is shorter than due", false, false, Code::kFailedPrecondition, "",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && in.path.ends_with(w.layer_digest) && say(out, "short", "x/y");
       }},
      {"a blob that is not there", false, false, Code::kNotFound, "404",
       [](World& w, const In& in, Out& out) {
         return is_blob(in) && in.path.ends_with(w.layer_digest) && (out.status = 404);
       }},
      {"a manifest that is a web page", false, false, Code::kUnimplemented, "text/html",
       [](World&, const In& in, Out& out) {
         return is_manifest(in) && say(out, "<html>", "text/html");
       }},
      {"a manifest that is no JSON", false, false, Code::kInvalidArgument, "",
       [](World&, const In& in, Out& out) {
         return is_manifest(in) && say(out, "{", kManifestType);
       }},
      {"a manifest of more than 16 MB", false, false, Code::kResourceExhausted, "16 MB",
       [](World&, const In& in, Out& out) {
         return is_manifest(in) && say(out, std::string((16 << 20) + 1, ' '), kManifestType);
       }},
      {"a manifest with a digest that is a path", false, false, Code::kInvalidArgument, "",
       [](World& w, const In& in, Out& out) {
         if (!is_manifest(in)) return false;
         std::string text = w.manifests["1"];
         text.replace(text.find(w.layer_digest), w.layer_digest.size(),
                      "sha256:../../../etc/passwd");
         return say(out, text, kManifestType);
       }},
      {"indexes nested without end", false, false, Code::kInvalidArgument, "nested",
       [](World&, const In& in, Out& out) {
         if (!is_manifest(in)) return false;
         // Each level's text is known to the one above it.
         std::string text = "{\"manifests\":[]}";
         for (int level = 0; level < 8; ++level) {
           const std::string digest = cat("sha256:", sha256_hex(text));
           if (in.path.ends_with(digest)) return say(out, text, kIndexType);
           text = index_of({text}, kIndexType);
         }
         return say(out, text, kIndexType);
       }},
      // Referrers.
      {"a referrer of another image", false, false, Code::kDataLoss, "which it is not",
       [](World& w, const In& in, Out& out) {
         const std::string text = manifest_of(w, cat("sha256:", sha256_hex("another image")));
         if (is_referrers(in)) return say(out, index_of({text}), kIndexType);
         return is_manifest(in, cat("sha256:", sha256_hex(text))) && say(out, text, kManifestType);
       }},
      {"a referrer without a subject", false, false, Code::kDataLoss, "which it is not",
       [](World& w, const In& in, Out& out) {
         const std::string text = manifest_of(w, "");
         if (is_referrers(in)) return say(out, index_of({text}), kIndexType);
         return is_manifest(in, cat("sha256:", sha256_hex(text))) && say(out, text, kManifestType);
       }},
      {"a referrer that is not there", false, false, Code::kNotFound, "404",
       [](World&, const In& in, Out& out) {
         return is_referrers(in) && say(out, index_of({"x"}), kIndexType);
       }},
      {"thousands of referrers", false, false, Code::kResourceExhausted, "referrers",
       [](World&, const In& in, Out& out) {
         if (!is_referrers(in)) return false;
         std::vector<std::string> texts;
         for (int i = 0; i < 5000; ++i) texts.push_back(cat(i));
         return say(out, index_of(texts), kIndexType);
       }},
      {"referrers that are a web page", false, false, Code::kInvalidArgument, "",
       [](World&, const In& in, Out& out) {
         return is_referrers(in) && say(out, "<html>", "text/html");
       }},
      // Time.
      {"an answer that stops coming", false, false, Code::kDeadlineExceeded, "1 KB",
       [](World& w, const In& in, Out& out) {
         if (!is_manifest(in)) return false;
         out.set_content_provider(5000, std::string(kManifestType),
                                  [&w](size_t offset, size_t, httplib::DataSink& sink) {
                                    if (offset > 0) {
                                      for (int i = 0; i < 30 && ++w.count; ++i) {
                                        std::this_thread::sleep_for(std::chrono::milliseconds(100));
                                      }
                                      return false;
                                    }
                                    return sink.write("{", 1);
                                  });
         return true;
       }},
      {"an error's text without end", false, false, Code::kResourceExhausted, "16 MB",
       [](World&, const In& in, Out& out) {
         if (!is_manifest(in)) return false;
         out.status = 400;
         return say(out, std::string((16 << 20) + 1, 'x'), "text/plain");
       }},
      {"errors that are no errors", false, false, Code::kFailedPrecondition, "HTTP 400",
       [](World&, const In& in, Out& out) {
         if (!is_manifest(in)) return false;
         out.status = 400;
         return say(out, "{\"errors\":{\"a\":[1,{}],\"b\":null}}", "application/json");
       }},
  };
  return table;
}

class HostileRegistry : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    keys_ = new TemporaryDirectory(*TemporaryDirectory::create());
    ASSERT_TRUE(
        run_tool({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=registry",
                  "-addext", "subjectAltName = IP:127.0.0.1,DNS:localhost", "-keyout",
                  join_path(keys_->path(), "tls.key"), "-out", join_path(keys_->path(), "tls.crt")})
            .ok());
    ::setenv("SSL_CERT_FILE", join_path(keys_->path(), "tls.crt").c_str(), 1);
  }
  static void TearDownTestSuite() {
    ::unsetenv("SSL_CERT_FILE");
    delete keys_;
  }
  void SetUp() override {
    folder_.emplace(*TemporaryDirectory::create());
    ASSERT_TRUE(create_directories(path("out")).ok());
    const auto blobs = BlobFolder::create(path("image"));
    std::string diff_id;
    Manifest manifest;
    manifest.layers.push_back(*add_layer(
        **blobs, Compression::kNone, 1,
        [&](ByteSink& sink) { return sink.write(std::string(30'000, 'l')); }, diff_id));
    ImageConfig config;
    config.platform = {"linux", "amd64", ""};
    config.diff_ids = {diff_id};
    manifest.config = *(*blobs)->add_text(kConfigType, write_config(config));
    layer_ = manifest.layers[0].digest;
    config_ = manifest.config.digest;
    manifest_ = write_manifest(manifest);
    config_text_ = write_config(config);
    OutputIndex output;
    output.index.manifests = {*(*blobs)->add_text(kManifestType, manifest_)};
    ASSERT_TRUE(write_output(**blobs, output, path("image")).ok());
    options_.docker_config = path("config.json");
    options_.chunk_bytes = 10'000;
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }
  std::unique_ptr<World> make_world(bool tls) {
    auto world = std::make_unique<World>(keys_->path(), tls);
    world->layer_digest = layer_;
    world->config_digest = config_;
    world->manifest_digest = cat("sha256:", sha256_hex(manifest_));
    world->blobs = {{layer_, std::string(30'000, 'l')}, {config_, config_text_}};
    world->manifests = {{"1", manifest_}, {world->manifest_digest, manifest_}};
    const std::string host = world->registry.host();
    EXPECT_TRUE(write_file(options_.docker_config,
                           cat("{\"auths\":{\"", host, "\":{\"auth\":\"", kPasswordBase64, "\"}}}"))
                    .ok());
    options_.force_tls = tls;
    return world;
  }
  Status transfer(const World& world, bool push) {
    TENON_ASSIGN_OR_RETURN(const auto name, parse_reference(cat(world.registry.host(), "/r:1")));
    if (!push) return pull_image(name, path("out/pulled.tar"), options_).status();
    TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path("image")));
    return push_image(*reader, name, options_).status();
  }

  static TemporaryDirectory* keys_;
  std::optional<TemporaryDirectory> folder_;
  std::string layer_, config_, manifest_, config_text_;
  RegistryOptions options_;
};
TemporaryDirectory* HostileRegistry::keys_ = nullptr;

TEST_F(HostileRegistry, TheWorldIsSoundWithoutALie) {
  for (const bool tls : {false, true}) {
    const auto world = make_world(tls);
    EXPECT_TRUE(transfer(*world, false).ok()) << transfer(*world, false);
    EXPECT_TRUE(transfer(*world, true).ok());
    EXPECT_TRUE(world->registry.saw_secret);
    world->blobs.clear();
    EXPECT_TRUE(transfer(*world, true).ok()) << transfer(*world, true);
  }
}

TEST_F(HostileRegistry, EveryLieIsMet) {
  ASSERT_GE(rows().size(), 50U);
  for (const Row& row : rows()) {
    const auto world = make_world(row.tls);
    if (row.push) world->blobs.clear();
    world->lie = row.lie;
    options_.timeout = row.code == Code::kDeadlineExceeded ? 1 : 60;
    const Status status = transfer(*world, row.push);
    EXPECT_EQ(status.code(), row.code) << row.name << ": " << status;
    EXPECT_NE(message_of(status).find(row.says), std::string_view::npos)
        << row.name << ": " << status;
    EXPECT_EQ(message_of(status).find('\n'), std::string_view::npos) << row.name;
    EXPECT_FALSE(world->other_plain.saw_secret) << row.name;
    EXPECT_FALSE(world->other_tls.saw_secret) << row.name;
    if (!row.seen_elsewhere) {
      EXPECT_EQ(world->other_plain.requests + world->other_tls.requests, 0) << row.name;
    }
    const auto left = list_directory(path("out"));
    EXPECT_EQ(left->size(), status.ok() && !row.push ? 1U : 0U) << row.name;
    if (path_exists(path("out/pulled.tar"))) {
      ASSERT_TRUE(remove_tree(path("out/pulled.tar")).ok());
    }
  }
}

// What the user allows works: the same realm as in the table, named by --token_server.
TEST_F(HostileRegistry, AnAllowedTokenServerGetsThePassword) {
  const auto world = make_world(true);
  const std::string host = cat("localhost:", world->other_tls.host().substr(10));
  world->lie = [&](World& w, const In& in, Out& out) {
    return realm(w, in, out, cat("https://", host, "/token"));
  };
  EXPECT_EQ(transfer(*world, false).code(), Code::kPermissionDenied);
  EXPECT_FALSE(world->other_tls.saw_secret);
  options_.token_servers = {host};
  EXPECT_TRUE(transfer(*world, false).ok()) << transfer(*world, false);
  EXPECT_TRUE(world->other_tls.saw_secret);
}

// OAuth: an identity token goes to the token server in a form, never in a URL.
TEST_F(HostileRegistry, IdentityTokensAreExchangedByForm) {
  const auto world = make_world(true);
  ASSERT_TRUE(write_file(options_.docker_config, cat("{\"auths\":{\"", world->registry.host(),
                                                     "\":{\"identitytoken\":\"id+1\"}}}"))
                  .ok());
  std::string form;
  world->lie = [&](World&, const In& in, Out& out) {
    if (in.path != "/token") return false;
    form = in.method == "POST" ? in.body : cat("by ", in.method);
    for (const auto& [name, value] : in.params) form += cat("&", name, "=", value);
    return say(out, cat("{\"access_token\":\"", kToken, "\"}"), "application/json");
  };
  ASSERT_TRUE(transfer(*world, false).ok()) << transfer(*world, false);
  EXPECT_NE(form.find("grant_type=refresh_token"), std::string::npos) << form;
  EXPECT_NE(form.find("refresh_token=id%2B1"), std::string::npos) << form;
  EXPECT_NE(form.find("scope=repository:r:pull"), std::string::npos) << form;
}

// Without stored credentials there is nothing to leak: anonymous tokens come from anywhere by TLS.
TEST_F(HostileRegistry, AnonymousTokensComeFromAnyHost) {
  const auto world = make_world(true);
  ASSERT_TRUE(write_file(options_.docker_config, "{}").ok());
  world->lie = [](World& w, const In& in, Out& out) {
    return realm(w, in, out, w.other_tls.url() + "/token");
  };
  EXPECT_TRUE(transfer(*world, false).ok()) << transfer(*world, false);
}

}  // namespace
}  // namespace tenon::image
