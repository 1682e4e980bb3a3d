#include "tenon/image/registry/credentials.h"

#include <sys/stat.h>

#include "tenon/base/files.h"
#include "tenon/image/archive/base64.h"
#include "tenon/image/net.h"
#include "tenon/image/registry/challenge.h"

namespace tenon::image {
namespace {

TEST(Challenge, SeveralStandInOneField) {
  const auto found = parse_challenges(
      "Basic realm=\"a, b\", Bearer realm=https://x/t , Service = \"s\\\"q\",scope=\"\",realm=y, "
      "Negotiate");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].scheme, "basic");
  EXPECT_EQ(found[0].parameters.at("realm"), "a, b");
  EXPECT_EQ(found[1].scheme, "bearer");
  EXPECT_EQ(found[1].parameters.at("realm"), "https://x/t");
  EXPECT_EQ(found[1].parameters.at("service"), "s\"q");
  EXPECT_EQ(found[1].parameters.at("scope"), "");
  EXPECT_EQ(found[2].scheme, "negotiate");
  for (const char* odd : {"", ",", "=", "=x", "\"", "a=b", " , ,"}) {
    EXPECT_TRUE(parse_challenges(odd).empty()) << odd;
  }
  EXPECT_EQ(parse_challenges("Bearer realm=\"x").size(), 1U);
}

TEST(Base64, TheStandardsVectorsAndWhatIsNot) {
  // RFC 4648, section 10.
  const char* const kPairs[][2] = {{"", ""},
                                   {"f", "Zg=="},
                                   {"fo", "Zm8="},
                                   {"foo", "Zm9v"},
                                   {"foob", "Zm9vYg=="},
                                   {"fooba", "Zm9vYmE="},
                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : kPairs) {
    EXPECT_EQ(to_base64(plain), coded);
    EXPECT_EQ(*from_base64(coded), plain);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zm9v\n", " Zm9", "Zg==Zg==", "====", "=Zg=", "Zm9*"}) {
    EXPECT_FALSE(from_base64(bad).ok()) << bad;
  }
}

TEST(NamedUrls, NeverFromTlsToPlainNorToThisMachine) {
  const struct {
    const char *from, *to;
    bool plain_on_loopback_only, may;
  } kRows[] = {
      {"https://r.example/", "https://s.example/x", true, true},
      {"https://r.example/", "http://s.example/x", true, false},
      {"https://r.example/", "http://s.example/x", false, false},
      {"https://r.example/", "http://r.example/x", false, false},
      {"https://r.example/", "https://127.0.0.1/x", false, false},
      {"https://r.example/", "https://localhost:8443/x", false, false},
      {"https://r.example/", "https://[::1]/x", false, false},
      {"http://r.example/", "http://127.9.9.9/x", false, false},
      {"http://r.example/", "http://s.example/x", false, true},
      {"http://r.example/", "https://s.example/x", false, true},
      {"http://127.0.0.1:5000/", "http://127.0.0.1:5001/x", true, true},
      {"http://127.0.0.1:5000/", "http://s.example/x", true, false},
      {"http://127.0.0.1:5000/", "http://127.0.0.1.s.example/x", true, false},
      {"http://127.0.0.1:5000/", "http://localhost.s.example/x", true, false},
      {"http://127.0.0.1:5000/", "https://s.example/x", true, true},
      {"https://127.0.0.1:5000/", "http://127.0.0.1:5001/x", true, false},
      {"http://127.0.0.1/", "file:///x", false, false},
  };
  for (const auto& row : kRows) {
    const Status status =
        check_named_url(*parse_url(row.from), *parse_url(row.to), row.plain_on_loopback_only);
    EXPECT_EQ(status.ok(), row.may) << row.from << " to " << row.to << ": " << status;
  }
  EXPECT_TRUE(
      is_same_origin(*parse_url("HTTPS://R.example/"), *parse_url("https://r.example:443/x")));
  EXPECT_FALSE(
      is_same_origin(*parse_url("https://r.example/"), *parse_url("https://r.example:5/")));
  for (const char* bad : {"https://u:p@h/", "https://h?x/", "https://h#x/", "https://h:0/",
                          "https://h:99999/", "https://h:/", "https://h:a/", "https://", "x",
                          "https://h\\.x/", "https:// h/", "https://h/a b", "https://h/\x01"}) {
    EXPECT_FALSE(parse_url(bad).ok()) << bad;
  }
  const Url base = *parse_url("https://h:1/a/b?c=/d/e");
  EXPECT_EQ(resolve_location(base, "/x?to=http://y"), "https://h:1/x?to=http://y");
  EXPECT_EQ(resolve_location(base, "x"), "https://h:1/a/x");
  EXPECT_EQ(resolve_location(base, "//o/x"), "https://o/x");
  EXPECT_EQ(resolve_location(base, "http://o/x"), "http://o/x");
}

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_.emplace(*TemporaryDirectory::create()); }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }
  StatusOr<std::optional<Credentials>> ask(std::string_view text, std::string_view reference) {
    return credentials_in(text, "config", *parse_reference(reference));
  }
  // A docker-credential-NAME that answers `get` by this script.
  void add_helper(std::string_view name, std::string_view script) {
    const std::string file = path(cat("docker-credential-", name));
    ASSERT_TRUE(write_file(file, cat("#!/bin/sh\n", script, "\n")).ok());
    ASSERT_EQ(::chmod(file.c_str(), 0755), 0);
    const std::string old = std::getenv("PATH");
    if (old.find(folder_->path()) == std::string::npos) {
      ::setenv("PATH", cat(folder_->path(), ":", old).c_str(), 1);
    }
  }
  std::optional<TemporaryDirectory> folder_;
};

TEST_F(CredentialsTest, AuthsAreFoundByHostPathAndUrl) {
  // "dTpw" is u:p, "djpx" is v:q.
  const struct {
    const char *auths, *reference, *user, *password;
  } kRows[] = {
      {R"("r.example":{"auth":"dTpw"})", "r.example/a", "u", "p"},
      {R"("https://r.example":{"auth":"dTpw"})", "r.example/a", "u", "p"},
      {R"("https://r.example/v1/":{"auth":"dTpw"})", "r.example/a", "u", "p"},
      {R"("r.example":{"username":"u","password":"p:w"})", "r.example/a", "u", "p:w"},
      {R"("r.example:5000":{"auth":"dTpw"})", "r.example/a", "", ""},
      {R"("r.example":{"auth":"dTpw"})", "r.example:5000/a", "", ""},
      {R"("r.example":{"auth":"dTpw"},"r.example/team":{"auth":"djpx"})", "r.example/team/a", "v",
       "q"},
      {R"("r.example":{"auth":"dTpw"},"r.example/team":{"auth":"djpx"})", "r.example/teams/a", "u",
       "p"},
      {R"("r.example/team/a":{"auth":"djpx"},"r.example/team":{"auth":"dTpw"})", "r.example/team/a",
       "v", "q"},
      {R"("https://index.docker.io/v1/":{"auth":"dTpw"})", "debian:12", "u", "p"},
      {R"("docker.io":{"auth":"dTpw"})", "user/app:1", "u", "p"},
      {R"("registry-1.docker.io":{"auth":"dTpw"})", "docker.io/user/app:1", "u", "p"},
      {R"("r.example":{})", "r.example/a", "", ""},
      {R"("other.example":{"auth":"dTpw"},"evil.r.example":{"auth":"djpx"})", "r.example/a", "",
       ""},
  };
  for (const auto& row : kRows) {
    const auto found = ask(cat(R"({"auths":{)", row.auths, "}}"), row.reference);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->has_value(), *row.user != '\0') << row.auths;
    if (!found->has_value()) continue;
    EXPECT_EQ((*found)->user, row.user) << row.auths;
    EXPECT_EQ((*found)->password, row.password) << row.auths;
  }
  const auto token =
      ask(R"({"auths":{"r.example":{"auth":"PHRva2VuPjp4","identitytoken":"t"}}})", "r.example/a");
  EXPECT_EQ((*token)->identity_token, "t");
  for (const char* bad : {"[]", "{", R"({"auths":{"r.example":{"auth":"***"}}})",
                          R"({"auths":{"r.example":{"auth":"dQ=="}}})"}) {
    EXPECT_EQ(ask(bad, "r.example/a").status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  for (const char* odd : {"{}", R"({"auths":[]})", R"({"auths":{"r.example":7}})",
                          R"({"auths":null,"credHelpers":[],"credsStore":{}})"}) {
    EXPECT_FALSE(ask(odd, "r.example/a")->has_value()) << odd;
  }
}

TEST_F(CredentialsTest, HelpersAreAsked) {
  // Answers by what it is asked for, and keeps it.
  add_helper("good", cat("read s; echo \"$1 $s\" >", path("asked"),
                         R"(; echo '{"Username":"u","Secret":"p"}')"));
  add_helper("token", R"(cat >/dev/null; echo '{"Username":"<token>","Secret":"t"}')");
  add_helper("none", "echo credentials not found in native keychain; exit 1");
  add_helper("broken", "echo no bus; exit 3");
  add_helper("odd", "echo hello");
  const auto by_host = ask(R"({"credHelpers":{"r.example":"good"}})", "r.example/a");
  ASSERT_TRUE(by_host.ok()) << by_host.status();
  EXPECT_EQ((*by_host)->basic(), "dTpw");
  EXPECT_EQ(*read_file(path("asked")), "get r.example\n");
  EXPECT_EQ((*ask(R"({"credsStore":"good"})", "debian"))->user, "u");
  EXPECT_EQ(*read_file(path("asked")), "get https://index.docker.io/v1/\n");
  EXPECT_EQ((*ask(R"({"credsStore":"token"})", "r.example/a"))->identity_token, "t");
  // A helper that knows nothing leaves it to the file.
  EXPECT_EQ(
      (*ask(R"({"credsStore":"none","auths":{"r.example":{"auth":"djpx"}}})", "r.example/a"))->user,
      "v");
  EXPECT_FALSE(ask(R"({"credHelpers":{"other.example":"broken"}})", "r.example/a")->has_value());
  for (const char* bad : {"broken", "odd", "nosuchhelper"}) {
    EXPECT_EQ(ask(cat(R"({"credsStore":")", bad, R"("})"), "r.example/a").status().code(),
              absl::StatusCode::kFailedPrecondition)
        << bad;
  }
  EXPECT_EQ(ask(R"({"credsStore":"../x"})", "r.example/a").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(CredentialsTest, FilesAreAskedInPodmansOrder) {
  EXPECT_EQ(credential_files("f"), std::vector<std::string>{"f"});
  const char* const kNames[] = {"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
                                "DOCKER_CONFIG"};
  std::map<std::string, std::string> saved;
  for (const char* name : kNames) {
    if (const char* value = std::getenv(name)) saved[name] = value;
    ::setenv(name, path(name).c_str(), 1);
  }
  EXPECT_EQ(credential_files(""), std::vector<std::string>{path("REGISTRY_AUTH_FILE")});
  ::unsetenv("REGISTRY_AUTH_FILE");
  EXPECT_EQ(credential_files(""),
            (std::vector<std::string>{path("XDG_RUNTIME_DIR/containers/auth.json"),
                                      path("XDG_CONFIG_HOME/containers/auth.json"),
                                      path("DOCKER_CONFIG/config.json")}));
  for (const char* folder : {"XDG_RUNTIME_DIR/containers", "DOCKER_CONFIG"}) {
    ASSERT_TRUE(create_directories(path(folder)).ok());
  }
  ASSERT_TRUE(
      write_file(path("DOCKER_CONFIG/config.json"), R"({"auths":{"r.example":{"auth":"dTpw"}}})")
          .ok());
  ASSERT_TRUE(write_file(path("XDG_RUNTIME_DIR/containers/auth.json"),
                         R"({"auths":{"s.example":{"auth":"djpx"}}})")
                  .ok());
  EXPECT_EQ(find_credentials(*parse_reference("r.example/a"), "")->user, "u");
  EXPECT_EQ(find_credentials(*parse_reference("s.example/a"), "")->user, "v");
  EXPECT_TRUE(find_credentials(*parse_reference("t.example/a"), "")->empty());
  for (const char* name : kNames) {
    ::unsetenv(name);
    if (saved.contains(name)) ::setenv(name, saved[name].c_str(), 1);
  }
}

}  // namespace
}  // namespace tenon::image
