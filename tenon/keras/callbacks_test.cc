// Callbacks and weighted training against Keras 3.15.1 (TensorFlow backend). The numbers come from
// .venv/bin/python with the same model and a callback that, before the one under test, puts made-up
// logs in place of the epoch's and the epoch into the kernel:
//
//   class Feed(keras.callbacks.Callback):
//     def on_epoch_end(self, epoch, logs):
//       logs.clear(); logs.update(rows[epoch]); model.layers[-1].kernel.assign([[float(epoch)]])
//   model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
//   model.compile('sgd', 'mse', metrics=['accuracy'])
//   model.fit(x, y, epochs=len(rows), verbose=0, callbacks=[Feed(), keras.callbacks....])
#include "tenon/keras/callbacks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tenon/base/files.h"
#include "tenon/keras/layers.h"

namespace tenon::keras {
namespace {

class Feed final : public Callback {
 public:
  explicit Feed(std::vector<Logs> rows) : rows_(std::move(rows)) {}
  Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) override {
    logs = rows_[static_cast<size_t>(epoch)];
    return model.weights()[0]->variable->assign(
        Tensor::vector<float>({static_cast<float>(epoch)}).reshaped({1, 1}));
  }

 private:
  std::vector<Logs> rows_;
};

struct FedRun {
  int64_t epochs = 0;
  float kernel = 0;
  std::string printed;
};

FedRun fit_on(const std::vector<Logs>& rows, CallbackPtr callback) {
  Sequential model({Input({1}), Dense({.units = 1, .use_bias = false})});
  EXPECT_TRUE(model.status().ok()) << model.status();
  EXPECT_EQ(model.compile({.optimizer = "sgd", .loss = "mse", .metrics = {"accuracy", "AUC"}}),
            absl::OkStatus());
  FedRun run;
  FitOptions options;
  options.epochs = static_cast<int64_t>(rows.size());
  options.verbose = 0;
  options.callbacks = {std::make_shared<Feed>(rows), std::move(callback)};
  options.output = [&](std::string_view text) { run.printed += text; };
  const Tensor zero = Tensor::vector<float>({0}).reshaped({1, 1});
  const StatusOr<History> history = model.fit(zero, zero, options);
  EXPECT_TRUE(history.ok()) << history.status();
  if (history.ok()) run.epochs = static_cast<int64_t>(history->epoch.size());
  run.kernel = model.weights()[0]->variable->read()->data<float>()[0];
  return run;
}

std::vector<Logs> series(const std::string& name, const std::vector<double>& values) {
  std::vector<Logs> rows;
  for (double value : values) rows.push_back({{name, value}});
  return rows;
}

const double kNaN = std::nan("");
const std::vector<double> kDown = {5, 4, 4.5, 3, 3.1, 3.2, 3.3, 2};

struct StoppingCase {
  std::string monitor;
  std::vector<double> values;
  EarlyStoppingOptions options;
  int64_t epochs;
  float kernel;
  std::string printed;
};

TEST(EarlyStoppingAgainstKeras, StopsAndRestoresAtTheSameEpoch) {
  const std::string restored = "Restoring model weights from the end of the best epoch: ";
  const StoppingCase cases[] = {
      {"val_loss", kDown, {.patience = 0, .verbose = 1}, 3, 2, "Epoch 3: early stopping\n"},
      {"val_loss", kDown, {.patience = 2, .verbose = 1}, 6, 5, "Epoch 6: early stopping\n"},
      {"val_loss",
       kDown,
       {.patience = 2, .verbose = 1, .restore_best_weights = true},
       6,
       3,
       "Epoch 6: early stopping\n" + restored + "4.\n"},
      {"val_loss",
       kDown,
       {.patience = 10, .verbose = 1, .restore_best_weights = true},
       8,
       7,
       restored + "8.\n"},
      {"val_loss", kDown, {.min_delta = 0.5, .patience = 2}, 6, 5, ""},
      {"val_loss",
       kDown,
       {.min_delta = 1.5, .patience = 2, .restore_best_weights = true},
       3,
       0,
       ""},
      {"val_loss", kDown, {.patience = 2, .baseline = 3.5, .restore_best_weights = true}, 3, 1, ""},
      {"val_loss",
       kDown,
       {.patience = 1, .restore_best_weights = true, .start_from_epoch = 4},
       6,
       4,
       ""},
      {"val_accuracy", kDown, {.patience = 1, .restore_best_weights = true}, 2, 0, ""},
      // The metric itself says that more is better.
      {"val_AUC", kDown, {.patience = 1, .restore_best_weights = true}, 2, 0, ""},
      {"val_loss",
       {3, kNaN, 2, kNaN, kNaN, 1},
       {.patience = 2, .restore_best_weights = true},
       5,
       2,
       ""},
  };
  for (const StoppingCase& c : cases) {
    EarlyStoppingOptions options = c.options;
    options.watch.monitor = c.monitor;
    const FedRun run = fit_on(series(c.monitor, c.values), EarlyStopping(options));
    const std::string what = cat(c.monitor, " patience ", options.patience, " min_delta ",
                                 options.min_delta, " start ", options.start_from_epoch);
    EXPECT_EQ(run.epochs, c.epochs) << what;
    EXPECT_EQ(run.kernel, c.kernel) << what;
    EXPECT_EQ(run.printed, c.printed) << what;
  }
}

TEST(Monitors, WantToKnowWhichWayIsBetter) {
  Sequential model({Input({1}), Dense({.units = 1})});
  ASSERT_EQ(model.compile({.optimizer = "sgd", .loss = "mse", .metrics = {"true_positives"}}),
            absl::OkStatus());
  const Tensor zero = Tensor::vector<float>({0}).reshaped({1, 1});
  const auto fit_with = [&](std::string_view mode) {
    FitOptions options;
    options.verbose = 0;
    options.callbacks = {
        EarlyStopping({.watch = {.monitor = "true_positives", .mode = std::string(mode)}})};
    return model.fit(zero, zero, options).status();
  };
  EXPECT_EQ(fit_with("auto").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(fit_with("max"), absl::OkStatus());
}

class CallbackFiles : public testing::Test {
 protected:
  void SetUp() override {
    StatusOr<TemporaryDirectory> made = TemporaryDirectory::create();
    ASSERT_TRUE(made.ok());
    folder_.emplace(*std::move(made));
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }
  // What was printed, without the folder's name.
  std::string told(std::string text) const {
    const std::string prefix = folder_->path() + "/";
    for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }
  float kernel_of(const std::string& name) const {
    const auto model = Model::load(path(name));
    EXPECT_TRUE(model.ok()) << name << ": " << model.status();
    if (!model.ok()) return -1;
    return (*model)->weights()[0]->variable->read()->data<float>()[0];
  }

  std::optional<TemporaryDirectory> folder_;
};

std::vector<Logs> validated(const std::vector<double>& values) {
  std::vector<Logs> rows;
  for (double value : values) rows.push_back({{"loss", 1.5}, {"val_loss", value}});
  return rows;
}

TEST_F(CallbackFiles, ModelCheckpointNamesEveryEpochsFileAsKeras) {
  const FedRun run = fit_on(
      validated({0.5, 0.25, 0.3, 0.125}),
      ModelCheckpoint({.filepath = path("m-{epoch:02d}-{val_loss:.2f}.keras"), .verbose = 1}));
  const std::string names[] = {"m-01-0.50.keras", "m-02-0.25.keras", "m-03-0.30.keras",
                               "m-04-0.12.keras"};
  std::string printed;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(kernel_of(names[i]), static_cast<float>(i));
    printed += cat("\nEpoch ", i + 1, ": saving model to ", names[i], "\n\nEpoch ", i + 1,
                   ": finished saving model to ", names[i], "\n");
  }
  EXPECT_EQ(told(run.printed), printed);
}

TEST_F(CallbackFiles, ModelCheckpointKeepsTheBestAsKeras) {
  const FedRun run = fit_on(
      validated({0.5, 0.25, 0.3, 0.125}),
      ModelCheckpoint({.filepath = path("best.keras"), .verbose = 1, .save_best_only = true}));
  EXPECT_EQ(kernel_of("best.keras"), 3.0f);
  EXPECT_EQ(told(run.printed),
            "\nEpoch 1: val_loss improved from None to 0.50000, saving model to best.keras\n"
            "\nEpoch 1: finished saving model to best.keras\n"
            "\nEpoch 2: val_loss improved from 0.50000 to 0.25000, saving model to best.keras\n"
            "\nEpoch 2: finished saving model to best.keras\n"
            "\nEpoch 3: val_loss did not improve from 0.25000\n"
            "\nEpoch 4: val_loss improved from 0.25000 to 0.12500, saving model to best.keras\n"
            "\nEpoch 4: finished saving model to best.keras\n");
}

TEST_F(CallbackFiles, ModelCheckpointTakesMoreForBetterWhereItIs) {
  fit_on(series("accuracy", {0.5, 0.25, 0.75}),
         ModelCheckpoint({.filepath = path("a{epoch:03d}-{accuracy:.1e}.keras"),
                          .watch = {.monitor = "accuracy"},
                          .save_best_only = true}));
  EXPECT_EQ(kernel_of("a001-5.0e-01.keras"), 0.0f);
  EXPECT_FALSE(path_exists(path("a002-2.5e-01.keras")));
  EXPECT_EQ(kernel_of("a003-7.5e-01.keras"), 2.0f);
  fit_on(validated({0.5, 0.25, 0.3, 0.125}),
         ModelCheckpoint({.filepath = path("{epoch}.weights.h5"),
                          .watch = {.mode = "max"},
                          .save_best_only = true,
                          .save_weights_only = true}));
  EXPECT_TRUE(path_exists(path("1.weights.h5")));
  EXPECT_FALSE(path_exists(path("2.weights.h5")));
}

TEST_F(CallbackFiles, CSVLoggerWritesTheTextOfKeras) {
  const std::string file = path("log.csv");
  fit_on({{{"loss", 0.1}, {"accuracy", 1}},
          {{"loss", 1e-7}, {"accuracy", 0.5}},
          {{"loss", 1.0 / 3}, {"accuracy", kNaN}}},
         CSVLogger({.filename = file}));
  EXPECT_EQ(*read_file(file),
            "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,1.0,0.1,NA,NA\r\n"
            "1,0.5,1e-07,NA,NA\r\n2,nan,0.3333333333333333,NA,NA\r\n");
  fit_on({{{"loss", 0.1}, {"val_loss", 2}}, {{"loss", 123456789.125}}},
         CSVLogger({.filename = file, .separator = ';'}));
  EXPECT_EQ(*read_file(file), "epoch;loss;val_loss\r\n0;0.1;2.0\r\n1;123456789.125;NA\r\n");
  fit_on({{{"loss", std::numeric_limits<double>::infinity()}}, {{"loss", 1e16}}},
         CSVLogger({.filename = file}));
  EXPECT_EQ(*read_file(file), "epoch,loss,val_loss\r\n0,inf,NA\r\n1,1e+16,NA\r\n");
  // numpy.float32 each.
  fit_on({{{"f1", LogValue(std::vector<double>{0.4444444179534912, 0, 1e-7f})}}},
         CSVLogger({.filename = file}));
  EXPECT_EQ(*read_file(file), "epoch,f1,val_f1\r\n0,\"\"\"[0.44444442, 0.0, 1e-07]\"\"\",NA\r\n");
}

TEST_F(CallbackFiles, CSVLoggerAppendsWithoutASecondHeader) {
  const std::string file = path("log.csv");
  fit_on({{{"loss", 1}, {"val_loss", 2}}}, CSVLogger({.filename = file}));
  fit_on({{{"loss", 3}, {"val_loss", 1e22}}}, CSVLogger({.filename = file, .append = true}));
  EXPECT_EQ(*read_file(file), "epoch,loss,val_loss\r\n0,1.0,2.0\r\n0,3.0,1e+22\r\n");
}

void set_weights(Model& model, const std::vector<Tensor>& values) {
  size_t at = 0;
  for (Weight* weight : model.weights()) {
    ASSERT_EQ(weight->variable->assign(values[at++].clone()), absl::OkStatus());
  }
}

void expect_weights(const Model& model, const std::vector<std::vector<float>>& expected) {
  for (size_t w = 0; w < expected.size(); ++w) {
    const Tensor value = *model.weights()[w]->variable->read();
    for (size_t i = 0; i < expected[w].size(); ++i) {
      EXPECT_NEAR(value.data<float>()[i], expected[w][i], 2e-6) << w << ", " << i;
    }
  }
}

Tensor rows_of_two() {
  return Tensor::vector<float>({1, 2, 0.5, -1, 2, 0, -1, 1}).reshaped({4, 2});
}

// model.fit(x, y, epochs=2, batch_size=2, shuffle=False, sample_weight=[1, 0, 2, 0.5])
TEST(WeightedTraining, SampleWeightsCountAsInKeras) {
  Sequential model({Input({2}), Dense({.units = 1})});
  ASSERT_EQ(model.compile({.optimizer = SGD({.learning_rate = 0.1}), .loss = "mse"}),
            absl::OkStatus());
  set_weights(model, {Tensor::vector<float>({0.5, -0.25}).reshaped({2, 1}),
                      Tensor::vector<float>({0.125})});
  const Tensor y = Tensor::vector<float>({1, 0, 2, -1}).reshaped({4, 1});
  const Tensor weight = Tensor::vector<float>({1, 0, 2, 0.5});
  FitOptions options{.batch_size = 2, .epochs = 2, .verbose = 0, .shuffle = false};
  options.sample_weight = weight;
  const StatusOr<History> history = model.fit(rows_of_two(), y, options);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_NEAR(history->history.at("loss")[0], 0.4167969226837158, 1e-6);
  EXPECT_NEAR(history->history.at("loss")[1], 0.01663437858223915, 1e-6);
  expect_weights(model, {{0.8658749461174011f, -0.11262499541044235f}, {0.28587496280670166f}});
  const StatusOr<Logs> judged =
      model.evaluate(rows_of_two(), y, {.batch_size = 2, .verbose = 0, .sample_weight = weight});
  ASSERT_TRUE(judged.ok()) << judged.status();
  EXPECT_NEAR(*find_log(*judged, "loss"), 0.013315808027982712, 1e-7);
}

// SparseCategoricalCrossentropy(from_logits=True), class_weight={0: 1, 1: 0.25, 2: 3}
TEST(WeightedTraining, ClassWeightsCountAsInKeras) {
  Sequential model({Input({2}), Dense({.units = 3})});
  ASSERT_EQ(model.compile({.optimizer = SGD({.learning_rate = 0.1}),
                           .loss = SparseCategoricalCrossentropy({.from_logits = true})}),
            absl::OkStatus());
  set_weights(model, {Tensor::vector<float>({0.5, 0, -0.5, 0.25, -0.25, 0}).reshaped({2, 3}),
                      Tensor::vector<float>({0, 0.125, -0.125})});
  FitOptions options{.batch_size = 2, .epochs = 2, .verbose = 0, .shuffle = false};
  options.class_weight = {{0, 1}, {1, 0.25}, {2, 3}};
  const StatusOr<History> history =
      model.fit(rows_of_two(), Tensor::vector<int64_t>({0, 1, 2, 1}), options);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_NEAR(history->history.at("loss")[0], 2.171076774597168, 4e-6);
  EXPECT_NEAR(history->history.at("loss")[1], 1.5157668590545654, 4e-6);
  expect_weights(model, {{0.1755020022392273f, -0.18793931603431702f, 0.012437254190444946f,
                          0.3194110691547394f, -0.2798333764076233f, -0.03957771509885788f},
                         {-0.1609290987253189f, 0.059472810477018356f, 0.10145628452301025f}});
}

TEST(CallbackState, IsTakenBackAndNonsenseIsRefused) {
  Sequential model({Input({1}), Dense({.units = 1})});
  ASSERT_EQ(model.compile({.optimizer = "sgd", .loss = "mse"}), absl::OkStatus());
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const std::string log = join_path(folder->path(), "log.csv");
  for (const CallbackPtr& callback :
       {EarlyStopping({.watch = {"loss"}, .restore_best_weights = true}), ReduceLROnPlateau(),
        ModelCheckpoint({.filepath = "m.keras"}), CSVLogger({.filename = log})}) {
    ASSERT_EQ(callback->on_train_begin(model), absl::OkStatus());
    Logs logs = {{"loss", 0.5}, {"val_loss", 0.25}};
    if (callback->class_name() != "ModelCheckpoint") {
      ASSERT_EQ(callback->on_epoch_end(model, 0, logs), absl::OkStatus());
    }
    const CallbackState state = callback->state();
    EXPECT_FALSE(callback->class_name().empty());
    EXPECT_EQ(callback->restore(model, state), absl::OkStatus());
    EXPECT_EQ(callback->state().values, state.values);
    for (const Json& values :
         {Json(7), Json::object({{"best", "x"}, {"text", 7}}),
          Json::object({{"best", 1.5}, {"wait", -1}, {"text", "a"}, {"keys", 7}})}) {
      if (callback->class_name() == "ModelCheckpoint" && values["best"].string() == nullptr)
        continue;
      EXPECT_EQ(callback->restore(model, {values, {}}).code(), absl::StatusCode::kInvalidArgument)
          << callback->class_name() << " " << values.dump();
    }
  }
  // Weights of another model.
  const CallbackPtr stopping = EarlyStopping({.restore_best_weights = true});
  ASSERT_EQ(stopping->on_train_begin(model), absl::OkStatus());
  CallbackState other = stopping->state();
  other.tensors = {Tensor::vector<float>({1, 2, 3})};
  EXPECT_EQ(stopping->restore(model, other).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
