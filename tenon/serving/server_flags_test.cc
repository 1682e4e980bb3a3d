// Outside truth: the flags and rules of tensorflow_serving/model_servers/main.cc.
#include "tenon/serving/server_flags.h"

#include <gtest/gtest.h>

#include <map>

#include "tenon/base/files.h"
#include "tenon/serving/config_files.h"

namespace tenon::serving {
namespace {

StatusOr<ParsedServerFlags> parse(std::vector<std::string> arguments) {
  return parse_server_flags(arguments);
}

TEST(ServerFlagsTest, DefaultsAreTensorFlowServings) {
  const auto parsed = parse({});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->flags.port, 8500);
  EXPECT_EQ(parsed->flags.rest_api_port, 0);
  EXPECT_EQ(parsed->flags.model_name, "default");
  EXPECT_EQ(parsed->flags.load_retry_interval_micros, 60000000);
  EXPECT_EQ(parsed->flags.saved_model_tags, "serve");
  EXPECT_TRUE(parsed->flags.enable_model_warmup);
}

TEST(ServerFlagsTest, ReadsEveryForm) {
  const auto parsed =
      parse({"--port=0", "--rest_api_port=8501", "--model_name=m", "--model_base_path=/models/m=1",
             "--enable_batching", "--enable_model_warmup=false",
             "--file_system_poll_wait_seconds=-1", "--per_process_gpu_memory_fraction=0.5"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->flags.port, 0);
  EXPECT_EQ(parsed->flags.rest_api_port, 8501);
  EXPECT_EQ(parsed->flags.model_base_path, "/models/m=1");
  EXPECT_TRUE(parsed->flags.enable_batching);
  EXPECT_FALSE(parsed->flags.enable_model_warmup);
  EXPECT_EQ(parsed->flags.file_system_poll_wait_seconds, -1);
  EXPECT_EQ(parsed->flags.per_process_gpu_memory_fraction, 0.5F);
  EXPECT_TRUE(parsed->unknown.empty());
}

TEST(ServerFlagsTest, BeyondTensorFlowServingAlsoSpacesAndDashes) {
  const auto parsed = parse({"--model-name", "m", "--enable-batching", "--threads", "2",
                             "--log-format=json", "--enable_profiler", "false"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->flags.model_name, "m");
  EXPECT_TRUE(parsed->flags.enable_batching);
  EXPECT_EQ(parsed->flags.threads, 2);
  EXPECT_EQ(parsed->flags.log_format, "json");
  EXPECT_FALSE(parsed->flags.enable_profiler);
}

TEST(ServerFlagsTest, UnknownArgumentsAreKeptAndNoError) {
  const auto parsed = parse({"--nope=1", "stray", "--port=1", "-port=2"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->unknown, (std::vector<std::string>{"--nope=1", "stray", "-port=2"}));
  EXPECT_EQ(parsed->flags.port, 1);
}

TEST(ServerFlagsTest, UnknownArgumentsMeetTheNearestFlag) {
  EXPECT_EQ(nearest_server_flag("--modle_name=m"), "; did you mean --model_name?");
  EXPECT_EQ(nearest_server_flag("-port=2"), "; did you mean --port?");
  EXPECT_EQ(nearest_server_flag("--something_else=1"), "");
  EXPECT_EQ(nearest_server_flag("---"), "");
}

TEST(ServerFlagsTest, BadValuesAreErrors) {
  for (const char* bad : {"--port=x", "--port=", "--port=99999999999", "--enable_batching=yes",
                          "--per_process_gpu_memory_fraction=half", "--model_name"}) {
    const auto parsed = parse({bad});
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(ServerFlagsTest, ContradictionsAreErrors) {
  ServerFlags flags;
  flags.model_base_path = "/m";
  EXPECT_TRUE(check_server_flags(flags).ok());
  ServerFlags batching = flags;
  batching.batching_parameters_file = "f";
  EXPECT_EQ(message_of(check_server_flags(batching)),
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.");
  ServerFlags alts = flags;
  alts.use_alts_credentials = true;
  EXPECT_EQ(check_server_flags(alts).code(), absl::StatusCode::kUnimplemented);
  ServerFlags retries = flags;
  retries.max_num_load_retries = -1;
  EXPECT_FALSE(check_server_flags(retries).ok());
  ServerFlags port = flags;
  port.rest_api_port = 65536;
  EXPECT_FALSE(check_server_flags(port).ok());
  ServerFlags precision = flags;
  precision.mixed_precision = "float8";
  EXPECT_FALSE(check_server_flags(precision).ok());
  ServerFlags memory = flags;
  memory.memory_limit = -1;
  EXPECT_FALSE(check_server_flags(memory).ok());
  EXPECT_FALSE(check_server_flags(ServerFlags()).ok());
  ServerFlags directory;
  directory.models_directory = "/models";
  EXPECT_TRUE(check_server_flags(directory).ok());
  directory.model_base_path = "/m";
  EXPECT_FALSE(check_server_flags(directory).ok());
}

TEST(ServerFlagsTest, FlagsWithoutEffectSaySo) {
  EXPECT_TRUE(flags_without_effect(ServerFlags()).empty());
  const auto parsed = parse({"--num_unload_threads=2", "--skip_initialize_tpu", "--port=1"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(flags_without_effect(parsed->flags),
            (std::vector<std::string>{
                "--num_unload_threads has no effect: unloading needs no thread of its own",
                "--skip_initialize_tpu has no effect: there is no TPU to initialize"}));
}

TEST(ServerFlagsTest, TheDocumentationHasARowForEachFlag) {
  const std::string page = read_file(TENON_SOURCE_DIR "/docs/serve.md").value_or("");
  for (const std::string_view name : server_flag_names()) {
    EXPECT_NE(page.find(cat("| `", name, "` |")), std::string::npos) << name;
  }
}

// Each file that a flag names is read at start, whether or not it says anything that acts.
TEST(ServerFlagsTest, FilesThatFlagsNameAreThereAndWellFormed) {
  auto folder = *TemporaryDirectory::create();
  const auto check = [&](std::string ServerFlags::*flag, std::string_view text) {
    const std::string path = join_path(folder.path(), "file");
    EXPECT_TRUE(write_file(path, text).ok());
    ServerFlags flags;
    flags.*flag = path;
    return check_config_files(flags);
  };
  EXPECT_TRUE(check_config_files(ServerFlags()).ok());
  for (const auto flag :
       {&ServerFlags::batching_parameters_file, &ServerFlags::ssl_config_file,
        &ServerFlags::rest_api_ssl_config_file, &ServerFlags::monitoring_config_file,
        &ServerFlags::platform_config_file, &ServerFlags::tensorflow_session_config_file}) {
    EXPECT_EQ(check(flag, "no { message").code(), absl::StatusCode::kInvalidArgument);
    ServerFlags flags;
    flags.*flag = "/nowhere/file";
    EXPECT_EQ(check_config_files(flags).code(), absl::StatusCode::kNotFound);
  }
  EXPECT_FALSE(check(&ServerFlags::ssl_config_file, "server_key: \"x\"").ok());
  EXPECT_TRUE(check(&ServerFlags::tensorflow_session_config_file,
                    "intra_op_parallelism_threads: 2 gpu_options { allow_growth: true }")
                  .ok());
}

TEST(ServerFlagsTest, TheImagesVariablesStandInForTheModelFlags) {
  std::map<std::string, std::string> environment = {{"MODEL_NAME", "digits"},
                                                    {"MODEL_BASE_PATH", "/models"}};
  const auto get = [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  ServerFlags flags;
  apply_environment(flags, get);
  EXPECT_EQ(flags.model_name, "digits");
  EXPECT_EQ(flags.model_base_path, "/models/digits");
  ServerFlags given;
  given.model_base_path = "/other";
  apply_environment(given, get);
  EXPECT_EQ(given.model_base_path, "/other");
  EXPECT_EQ(given.model_name, "default");
  ServerFlags directory;
  directory.models_directory = "/all";
  apply_environment(directory, get);
  EXPECT_EQ(directory.model_base_path, "");
  environment.clear();
  ServerFlags none;
  apply_environment(none, get);
  EXPECT_EQ(none.model_base_path, "");
}

TEST(ServerFlagsTest, UsageNamesEveryFlagOnce) {
  const std::string usage = server_usage();
  for (const char* name : {"--port=8500\tint32", "--enable_model_warmup=true\tbool",
                           "--saved_model_tags=\"serve\"\tstring"}) {
    EXPECT_NE(usage.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace tenon::serving
