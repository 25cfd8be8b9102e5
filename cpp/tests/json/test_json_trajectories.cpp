#include <string>
#include <vector>

#include "support/check.hpp"
#include "w2stree/json/json_trajectories.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;

std::string record(const std::string& more, const std::string& steps = "[]") {
  return R"({"task_id":"t","prompt":[],"steps":)" + steps + R"(,"total_return":1,"status":"done")" +
         more + "}";
}

bool is_certain(const std::string& text) {
  JsonTrajectoryReader reader;
  reader.begin_file();
  return reader.append(text);
}

void reads_rows_steps_and_texts() {
  const std::string steps = R"([{"action":"go","observation":"Ok."},)"
                            R"({"observation":"","action":"g\u006f","response":"x"}])";
  const std::string failed = R"({"status":"error","task_id":"u","total_return":0,)"
                             R"("prompt":[],"steps":[{"action":"a","observation":"b"}]})";
  JsonTrajectoryReader reader;
  reader.begin_file();
  CHECK(reader.append("\xef\xbb\xbf\r\n" + record("", steps) + "\r\n" + failed + "\n"));
  CHECK(reader.append(record(R"(,"origin":{"seed":0,"sample_index":1})")));
  const JsonTrajectories read = std::move(reader).finish();
  CHECK(read.is_error == std::vector<std::uint8_t>{0, 1, 0});
  CHECK(read.line == std::vector<std::int64_t>{2, 3, 4});
  CHECK(read.block == Ids{0, 0, 1});
  CHECK(read.begin[0] == 5 && read.begin[2] == 0);
  CHECK(read.key == Ids{kNone, kNone, 0});
  CHECK(read.played.action_id == Ids{0, 0} && read.played.observation_id == Ids{0, 1});
  CHECK(read.played.step_offset == std::vector<std::int64_t>{0, 2, 2});
  CHECK(read.played.task_ids.size() == 1 && read.played.actions.text(0) == "go");
}

void leaves_what_is_not_certain_alone() {
  CHECK(is_certain(record("")) && is_certain("") && is_certain(" \r\n\n"));
  for (const char* more :
       {R"(,"status":"done")", R"(,"more":1)", R"(,"info":{"a":[{"b":1,"b":2}]})",
        R"(,"info":{"n":-0.0})", R"(,"info":{"n":123456789012345678901})", R"(,"info":{"n":NaN})",
        R"(,"info":{"seed":1,"sample_index":0})", R"(,"info":"\ud800")",
        R"(,"origin":{"seed":1.0})", ",", "}", "\xff", R"(,"info":{},)"}) {
    CHECK(!is_certain(record(more)));
  }
  std::string deep(100'000, '[');
  deep += "1";
  deep.append(100'000, ']');
  CHECK(!is_certain(record(R"(,"info":{"a":)" + deep + "}")));
  CHECK(!is_certain(record("").substr(0, 40)));
}

void takes_tool_calls_in_their_one_form() {
  const auto step = [](const std::string& arguments, const std::string& action) {
    return record("", R"([{"observation":"","tool_calls":[{"name":"f","arguments":")" + arguments +
                          "\"}]" + action + "}]");
  };
  CHECK(is_certain(step(R"({\"a\":1,\"b\":[\"x\"]})", "")));
  CHECK(is_certain(step("{}", R"(,"action":"f {}")")));
  CHECK(!is_certain(step("{}", R"(,"action":"f")")));
  for (const char* arguments :
       {R"({\"b\":1,\"a\":1})", R"({\"a\": 1})", R"({\"a\":1.5})", "[]", ""}) {
    CHECK(!is_certain(step(arguments, "")));
  }
}

void rows_of_one_content_have_one_gist() {
  const std::string steps = R"([{"action":"a","observation":"b","response":"c"}])";
  const std::string other = R"([{"action":"a","observation":"b","response":"d"}])";
  JsonTrajectoryReader reader;
  reader.begin_file();
  CHECK(reader.append(record("", steps) + "\n" + record(",\"info\":{}", steps) + "\n" +
                      record("", other)));
  const JsonTrajectories read = std::move(reader).finish();
  CHECK(read.gist[0] == read.gist[1] && read.gist[0] != read.gist[2]);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({reads_rows_steps_and_texts, leaves_what_is_not_certain_alone,
              takes_tool_calls_in_their_one_form, rows_of_one_content_have_one_gist});
}
