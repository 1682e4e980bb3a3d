// Outside truth: TensorFlow's message definitions, read back by protobuf.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tenon/base/files.h"
#include "tenon/io/record_io.h"
#include "tenon/observe/event_writer.h"
#include "tensorflow/core/util/event.pb.h"

namespace tenon {
namespace {

std::vector<tensorflow::Event> events_of(const std::string& path) {
  std::vector<tensorflow::Event> events;
  auto reader = RecordReader::open(path);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::string record;
  for (;;) {
    const auto more = reader->next(record);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) return events;
    EXPECT_TRUE(events.emplace_back().ParseFromString(record));
  }
}

TEST(EventWriterTest, WritesWhatTensorBoardReads) {
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const auto writer = EventWriter::create(join_path(folder->path(), "logs/train"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->write_scalar("epoch_loss", 3, 0.25F).ok());
  ASSERT_TRUE((*writer)->write_scalar("epoch_accuracy", -1, 1.0F).ok());
  ASSERT_TRUE((*writer)->flush().ok());
  EXPECT_NE((*writer)->path().find("/logs/train/events.out.tfevents."), std::string::npos);

  const auto events = events_of((*writer)->path());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[0].source_metadata().writer(), "tenon");
  EXPECT_GT(events[0].wall_time(), 1.7e9);
  EXPECT_EQ(events[1].step(), 3);
  ASSERT_EQ(events[1].summary().value_size(), 1);
  const auto& value = events[1].summary().value(0);
  EXPECT_EQ(value.tag(), "epoch_loss");
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "scalars");
  EXPECT_EQ(value.metadata().data_class(), tensorflow::DATA_CLASS_SCALAR);
  EXPECT_EQ(value.tensor().dtype(), tensorflow::DT_FLOAT);
  EXPECT_TRUE(value.tensor().has_tensor_shape());
  EXPECT_EQ(value.tensor().tensor_shape().dim_size(), 0);
  ASSERT_EQ(value.tensor().float_val_size(), 1);
  EXPECT_EQ(value.tensor().float_val(0), 0.25F);
  EXPECT_EQ(events[2].step(), -1);
}

TEST(EventWriterTest, TwoWritersOfOneFolderHaveTwoFiles) {
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const auto a = EventWriter::create(folder->path());
  const auto b = EventWriter::create(folder->path());
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE((*a)->path(), (*b)->path());
  EXPECT_EQ(events_of((*a)->path()).size(), 1u);  // its head can be read at once
}

TEST(EventWriterTest, AFolderThatCannotBeMadeIsAnError) {
  EXPECT_FALSE(EventWriter::create("/proc/none/logs").ok());
}

}  // namespace
}  // namespace tenon
