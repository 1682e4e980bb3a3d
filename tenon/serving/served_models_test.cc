// Outside truth: TensorFlow Serving's version policies, states and messages
// (tensorflow_serving/core, sources/storage_path).
#include "tenon/serving/served_models.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <thread>

#include "tenon/base/files.h"

namespace tenon::serving {
namespace {

class EmptyServable final : public Servable {
 public:
  const std::vector<Signature>& signatures() const override { return signatures_; }
  StatusOr<std::vector<Tensor>> run(const Signature&, std::span<const Tensor>, std::span<const int>,
                                    const RunLimits&) const override {
    return std::vector<Tensor>();
  }
  std::string signature_def_map() const override { return ""; }

 private:
  std::vector<Signature> signatures_;
};

// A folder with model "m", and a loader of empty servables that fails for the versions told.
class ServedModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TemporaryDirectory::create();
    config_.name = "m";
    config_.base_path = folder_->path();
    options_.metrics = &metrics_;
    options_.poll_interval = std::chrono::milliseconds(5);
    options_.load_retry_interval = std::chrono::milliseconds(1);
    options_.load = [this](const std::string&, int64_t version,
                           const std::string&) -> StatusOr<std::shared_ptr<const Servable>> {
      std::lock_guard lock(mutex_);
      ++loads_;
      const auto failing = failing_.find(version);
      if (failing != failing_.end()) return failing->second;
      return std::make_shared<EmptyServable>();
    };
  }
  void add(std::string_view version) {
    ASSERT_TRUE(create_directories(join_path(folder_->path(), version)).ok());
  }
  void drop(std::string_view version) {
    ASSERT_TRUE(remove_tree(join_path(folder_->path(), version)).ok());
  }
  void fail(int64_t version, absl::StatusCode code = absl::StatusCode::kUnavailable) {
    std::lock_guard lock(mutex_);
    failing_[version] = make_status(code, cat("version ", version, " is broken"));
  }
  void heal(int64_t version) {
    std::lock_guard lock(mutex_);
    failing_.erase(version);
  }
  Status start() {
    auto served = ServedModels::start(options_, {config_});
    if (served.ok()) served_ = *std::move(served);
    return served.status();
  }
  std::string states() const {
    std::string text;
    const auto list = served_->status("m", std::nullopt);
    if (!list.ok()) return std::string(message_of(list.status()));
    for (const VersionStatus& status : *list) {
      text += cat(text.empty() ? "" : " ", status.version, ":", static_cast<int>(status.state));
    }
    return text;
  }
  static void pause() {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable().wait_for(lock, std::chrono::milliseconds(2));
  }
  // Waits (at most ten seconds) for what the keeper and loader threads have to do.
  bool comes_to(const std::string& want) const {
    for (int i = 0; i < 5000 && states() != want; ++i) {
      pause();
    }
    EXPECT_EQ(states(), want);
    return states() == want;
  }
  int64_t latest() const {
    const auto found = served_->find({.name = "m", .version = {}, .label = {}});
    return found.ok() ? (*found)->version : -1;
  }

  std::optional<TemporaryDirectory> folder_;
  ModelConfig config_;
  ServedModelsOptions options_;
  MetricRegistry metrics_;
  std::mutex mutex_;
  int loads_ = 0;
  std::map<int64_t, Status> failing_;
  std::unique_ptr<ServedModels> served_;
};

TEST_F(ServedModelsTest, ServesTheLatestVersionByNumber) {
  add("9");
  add("00000123");
  add("not_a_version");
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(states(), "123:30");
  EXPECT_EQ(latest(), 123);
  EXPECT_TRUE(served_->ready());
  EXPECT_EQ(message_of(served_->find({"x", {}, {}}).status()),
            "Servable not found for request: Latest(x)");
  EXPECT_EQ(message_of(served_->find({"m", 9, {}}).status()),
            "Servable not found for request: Specific(m, 9)");
  EXPECT_EQ(served_->find({"", {}, {}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(message_of(served_->status("x", {}).status()),
            "Could not find any versions of model x");
  EXPECT_EQ(message_of(served_->status("m", 9).status()), "Could not find version 9 of model m");
}

TEST_F(ServedModelsTest, ANewVersionReplacesTheOldOneWhichStaysListed) {
  add("1");
  ASSERT_TRUE(start().ok());
  add("2");
  EXPECT_TRUE(comes_to("2:30 1:50"));
  EXPECT_EQ(latest(), 2);
}

TEST_F(ServedModelsTest, AVersionThatFailedForGoodIsTriedWhereElseItLies) {
  add("1");
  ASSERT_TRUE(start().ok());
  fail(2, absl::StatusCode::kInvalidArgument);
  add("2");
  EXPECT_TRUE(comes_to("2:50 1:30"));
  heal(2);
  const auto elsewhere = *TemporaryDirectory::create();
  ASSERT_TRUE(create_directories(join_path(elsewhere.path(), "2")).ok());
  config_.base_path = elsewhere.path();
  ASSERT_TRUE(served_->configure({config_}).ok());
  EXPECT_TRUE(comes_to("2:30 1:50"));
}

TEST_F(ServedModelsTest, AVersionInUseIsFreedOnlyAfterItsLastRequest) {
  add("1");
  ASSERT_TRUE(start().ok());
  auto in_use = *served_->find({"m", 1, {}});
  add("2");
  EXPECT_TRUE(comes_to("2:30 1:40"));
  in_use.reset();
  EXPECT_TRUE(comes_to("2:30 1:50"));
}

TEST_F(ServedModelsTest, AFailedVersionLeavesTheOldOneServing) {
  add("1");
  ASSERT_TRUE(start().ok());
  fail(2);
  add("2");
  EXPECT_TRUE(comes_to("2:50 1:30"));
  EXPECT_EQ(loads_, 1 + 1 + options_.max_load_retries);
  EXPECT_EQ(latest(), 1);
  const auto status = served_->status("m", 2);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->at(0).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServedModelsTest, StartFailsWhenEveryVersionFails) {
  fail(1);
  add("1");
  options_.max_load_retries = 1;
  const Status status = start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(message_of(status),
            "1 servable(s) did not become available: {{{name: m version: 1} due to error: "
            "UNAVAILABLE: version 1 is broken}}");
  EXPECT_EQ(loads_, 2);
}

// Errors that a version's bytes cause do not go away by trying, but by other bytes.
TEST_F(ServedModelsTest, APermanentErrorIsTriedAgainOnlyWhenTheFolderChanges) {
  add("1");
  ASSERT_TRUE(start().ok());
  fail(2, absl::StatusCode::kDataLoss);
  add("2");
  EXPECT_TRUE(comes_to("2:50 1:30"));
  pause();
  EXPECT_EQ(loads_, 2);
  heal(2);
  ASSERT_TRUE(write_file(join_path(folder_->path(), "2/saved_model.pb"), "arrived").ok());
  EXPECT_TRUE(comes_to("2:30 1:50"));
}

TEST_F(ServedModelsTest, ACopyThatGoesOnIsTriedBeforeTheRetryIsDue) {
  options_.load_retry_interval = std::chrono::hours(1);
  add("1");
  ASSERT_TRUE(start().ok());
  fail(2);
  add("2");
  EXPECT_TRUE(comes_to("2:10 1:30"));
  heal(2);
  add("2/variables");
  EXPECT_TRUE(comes_to("2:30 1:50"));
}

TEST_F(ServedModelsTest, AModelWithoutVersionsIsServedOnceItHasOne) {
  ASSERT_TRUE(start().ok());
  EXPECT_FALSE(served_->ready());
  EXPECT_EQ(latest(), -1);
  add("1");
  EXPECT_TRUE(comes_to("1:30"));
  EXPECT_TRUE(served_->ready());
  options_.poll = false;  // nobody would look again
  config_.base_path = "/nowhere";
  EXPECT_EQ(start().code(), absl::StatusCode::kNotFound);
}

TEST_F(ServedModelsTest, AReloadThatNamesNoFolderSaysSo) {
  add("1");
  ASSERT_TRUE(start().ok());
  const std::string later = join_path(folder_->path(), "later");
  const ModelConfig ghost{"ghost", later, {}, {}};
  EXPECT_EQ(served_->reload({config_, ghost}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(latest(), 1);
  add("later/4");
  for (int i = 0; i < 5000 && !served_->ready(); ++i) pause();
  EXPECT_TRUE(served_->find({"ghost", 4, {}}).ok());
}

// A folder without versions keeps one reload waiting, and nothing else.
TEST_F(ServedModelsTest, AReloadThatWaitsIsSupersededOrEnded) {
  add("1");
  add("ghosts");
  ASSERT_TRUE(start().ok());
  const ModelConfig ghost{"ghost", join_path(folder_->path(), "ghosts"), {}, {}};
  Status first = internal("still waiting");
  std::thread superseded([&] { first = served_->reload({config_, ghost}); });
  while (!served_->knows("ghost")) pause();
  ASSERT_TRUE(served_->configure({config_}).ok());
  superseded.join();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_EQ(served_->reload({config_, ghost}, [] { return false; }).code(),
            absl::StatusCode::kCancelled);
  ASSERT_TRUE(served_->configure({config_}).ok());
  Status second;
  std::thread ended([&] { second = served_->reload({config_, ghost}); });
  served_->end_waiting();
  ended.join();
  EXPECT_EQ(second.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(latest(), 1);
}

TEST_F(ServedModelsTest, RemovingTheLastVersionUnloadsIt) {
  add("1");
  ASSERT_TRUE(start().ok());
  drop("1");
  EXPECT_TRUE(comes_to("1:50"));
  EXPECT_EQ(latest(), -1);
  EXPECT_FALSE(served_->ready());
  add("1");
  EXPECT_TRUE(comes_to("1:30"));
}

TEST_F(ServedModelsTest, RemovingTheBasePathChangesNothing) {
  add("1");
  ASSERT_TRUE(start().ok());
  const std::string elsewhere = folder_->path() + ".away";
  ASSERT_EQ(::rename(folder_->path().c_str(), elsewhere.c_str()), 0);
  for (int i = 0; i < 20; ++i) {
    pause();
    ASSERT_EQ(states(), "1:30");
  }
  ASSERT_EQ(::rename(elsewhere.c_str(), folder_->path().c_str()), 0);
}

TEST_F(ServedModelsTest, SpecificAndAllPoliciesAndLabels) {
  for (const char* version : {"1", "2", "3"}) add(version);
  config_.policy.kind = VersionPolicy::Kind::kSpecific;
  config_.policy.versions = {1, 3};
  config_.labels = {{"stable", 1}};
  EXPECT_EQ(message_of(start()),
            "Request to assign label to version 1 of model m, which is not currently available for "
            "inference");
  options_.allow_labels_for_unavailable = true;
  ASSERT_TRUE(start().ok());
  EXPECT_TRUE(comes_to("3:30 1:30"));
  EXPECT_EQ((*served_->find({"m", {}, "stable"}))->version, 1);
  EXPECT_EQ(message_of(served_->find({"m", {}, "nope"}).status()),
            "Unrecognized servable version label: nope");
  config_.policy.kind = VersionPolicy::Kind::kAll;
  config_.labels = {{"stable", 3}};
  ASSERT_TRUE(served_->reload({config_}).ok());
  EXPECT_EQ((*served_->find({"m", {}, "stable"}))->version, 3);
  EXPECT_TRUE(comes_to("3:30 2:30 1:30"));
}

TEST_F(ServedModelsTest, ReloadAddsRenamesAndRemoves) {
  add("1");
  ASSERT_TRUE(start().ok());
  ModelConfig renamed = config_;
  renamed.name = "renamed";
  ASSERT_TRUE(served_->reload({renamed}).ok());
  EXPECT_TRUE(served_->find({"renamed", {}, {}}).ok());
  EXPECT_TRUE(comes_to("1:50"));
  EXPECT_EQ(latest(), -1);
  EXPECT_TRUE(served_->ready());
  ASSERT_TRUE(served_->reload({renamed, config_}).ok());
  EXPECT_EQ(latest(), 1);
}

TEST_F(ServedModelsTest, ReloadReportsANewModelThatFails) {
  add("1");
  ASSERT_TRUE(start().ok());
  fail(1);
  options_.max_load_retries = 0;
  ModelConfig other = config_;
  other.name = "other";
  EXPECT_EQ(served_->reload({config_, other}).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(latest(), 1);
}

TEST_F(ServedModelsTest, WithoutMemoryVersionsGoThatNeitherAreTheNewestNorHaveALabel) {
  for (const char* version : {"1", "2", "3"}) add(version);
  config_.policy.kind = VersionPolicy::Kind::kAll;
  config_.labels["stable"] = 2;
  options_.allow_labels_for_unavailable = true;
  ASSERT_TRUE(start().ok());
  EXPECT_TRUE(comes_to("3:30 2:30 1:30"));
  ASSERT_TRUE(served_->unload_spare().has_value());
  EXPECT_TRUE(comes_to("3:30 2:30 1:50"));
  EXPECT_FALSE(served_->unload_spare().has_value());
  EXPECT_TRUE(served_->ready());
  EXPECT_EQ(message_of(served_->find({"m", 1, {}}).status()),
            "Servable not found for request: Specific(m, 1)");
  EXPECT_EQ(served_->status("m", 1)->at(0).status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(latest(), 3);
  for (int i = 0; i < 20; ++i) pause();  // looking again brings nothing back
  EXPECT_EQ(states(), "3:30 2:30 1:50");
  ASSERT_TRUE(served_->load("m").ok());
  EXPECT_TRUE(comes_to("3:30 2:30 1:30"));
}

// BasicManager knows ready versions alone, and says the same of all others.
TEST_F(ServedModelsTest, WhatIsNotAvailableIsNotFoundWhateverTheReason) {
  for (const char* version : {"1", "2"}) add(version);
  options_.max_load_retries = 0;
  fail(2, absl::StatusCode::kResourceExhausted);
  config_.policy.kind = VersionPolicy::Kind::kAll;
  ASSERT_TRUE(start().ok());
  EXPECT_TRUE(comes_to("2:50 1:30"));
  EXPECT_EQ(message_of(served_->find({"m", 2, {}}).status()),
            "Servable not found for request: Specific(m, 2)");
  EXPECT_EQ(latest(), 1);
  ASSERT_TRUE(served_->unload("m").ok());
  EXPECT_TRUE(comes_to("2:50 1:50"));
  EXPECT_EQ(served_->find({"m", {}, {}}).status(),
            not_found("Servable not found for request: Latest(m)"));
  fail(1, absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(served_->load("m").code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(served_->find({"m", {}, {}}).status(),
            not_found("Servable not found for request: Latest(m)"));
}

// Triton's: an unloaded model stays unloaded until somebody loads it.
TEST_F(ServedModelsTest, AFolderOfModelsThatChangesLeavesUnloadedModelsUnloaded) {
  add("1");
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(served_->unload("m").ok());
  ModelConfig other = config_;
  other.name = "other";
  ASSERT_TRUE(served_->configure({config_, other}, Unloaded::kStay).ok());
  EXPECT_TRUE(comes_to("1:50"));
  for (int i = 0; i < 20; ++i) pause();
  EXPECT_EQ(states(), "1:50");
  ASSERT_TRUE(served_->configure({other}, Unloaded::kStay).ok());
  ASSERT_TRUE(served_->configure({config_, other}, Unloaded::kStay).ok());  // it has come anew
  EXPECT_TRUE(comes_to("1:30"));
  ASSERT_TRUE(served_->unload("m").ok());
  ASSERT_TRUE(served_->configure({config_, other}).ok());
  EXPECT_TRUE(comes_to("1:30"));
}

TEST_F(ServedModelsTest, LoadsAreCounted) {
  add("1");
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(
      metrics_.counter("/tensorflow/cc/saved_model/load_attempt_count", {"model_path", "status"})
          .cell({join_path(folder_->path(), "1"), "success"})
          .value(),
      1);
}

}  // namespace
}  // namespace tenon::serving
