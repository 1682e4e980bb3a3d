#include "tenon/keras/callbacks/progress_bar.h"

#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

TEST(ProgressBar, PrintsWhatKerasPrints) {
  const Json cases = testdata_json("progress.json");
  for (const Json& c : *cases.items()) {
    double now = 1000;
    std::string printed;
    const int64_t target = *c["target"].integer();
    const auto verbose = static_cast<int>(*c["verbose"].integer());
    ProgressBar bar(
        target, verbose, [&](std::string_view text) { printed += text; }, [&] { return now; });
    Logs values;
    for (const Json& pair : *c["values"].items()) {
      const Json& value = (*pair.items())[1];
      values.emplace_back(*(*pair.items())[0].string(),
                          value.number() ? *value.number() : std::nan(""));
    }
    const auto& times = *c["times"].items();
    for (size_t i = 0; i < times.size(); ++i) {
      now = 1000 + *times[i].number();
      const bool last = i + 1 == times.size();
      if (last || verbose == 1)
        bar.update(last ? target : static_cast<int64_t>(i + 1), values, last);
    }
    EXPECT_EQ(printed, *c["printed"].string()) << c["values"].dump() << " verbose " << verbose;
  }
}

}  // namespace
}  // namespace tenon::keras
