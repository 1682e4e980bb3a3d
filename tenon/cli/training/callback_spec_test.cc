#include "tenon/cli/training/callback_spec.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

TEST(CallbackSpec, TakesKerasNamesAndArguments) {
  const auto callbacks = parse_callbacks(
      "EarlyStopping(monitor='val_accuracy', patience=3, restore_best_weights=True), "
      "CSVLogger(log,with,commas.csv, append=False),ReduceLROnPlateau(factor=0.5),TerminateOnNaN");
  // Commas in a name need quotes: the second callback has arguments that it does not know.
  EXPECT_EQ(callbacks.status().code(), absl::StatusCode::kInvalidArgument);
  const auto quoted = parse_callbacks(
      "EarlyStopping(monitor='val_accuracy', patience=3, restore_best_weights=True), "
      "CSVLogger('log,with,commas.csv', append=False),ReduceLROnPlateau(factor=0.5),"
      "TerminateOnNaN,ModelCheckpoint(best-{epoch:02d}.keras)");
  ASSERT_TRUE(quoted.ok()) << quoted.status();
  EXPECT_EQ(quoted->callbacks.size(), 5u);
  EXPECT_FALSE(quoted->backup);
  EXPECT_TRUE(parse_callbacks("")->callbacks.empty());
  const auto backup = parse_callbacks("TerminateOnNaN,BackupAndRestore(dir)");
  ASSERT_TRUE(backup.ok() && backup->backup) << backup.status();
  EXPECT_EQ(backup->callbacks.size(), 1u);
  EXPECT_EQ(backup->backup->folder, "dir");
  EXPECT_TRUE(backup->backup->is_deleted);
  EXPECT_FALSE(parse_callbacks("BackupAndRestore(backup_dir='d', delete_checkpoint=False)")
                   ->backup->is_deleted);
}

TEST(CallbackSpec, RefusesWhatKerasDoesNotKnow) {
  for (const char* text : {"EarlyStopping(patience=soon)", "EarlyStopping(paitence=3)",
                           "EarlyStopping(patience=3", "TerminateOnNaN(1)", "BackupAndRestore()"}) {
    EXPECT_EQ(parse_callbacks(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(parse_callbacks("BackupAndRestore(dir, save_freq=10)").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(parse_callbacks("LearningRateScheduler(f)").status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace tenon::cli
