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
  EXPECT_EQ(quoted->size(), 5u);
  EXPECT_TRUE(parse_callbacks("")->empty());
}

TEST(CallbackSpec, RefusesWhatKerasDoesNotKnow) {
  for (const char* text : {"EarlyStopping(patience=soon)", "EarlyStopping(paitence=3)",
                           "EarlyStopping(patience=3", "TerminateOnNaN(1)"}) {
    EXPECT_EQ(parse_callbacks(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(parse_callbacks("BackupAndRestore(dir)").status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace tenon::cli
